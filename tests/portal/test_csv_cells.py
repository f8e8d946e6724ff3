import csv
import io

import pytest

from portal import csv_cells


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "-"],  # noqa: RUF001
)
def test_text_that_would_be_a_formula_gets_an_apostrophe(text: str) -> None:
    assert csv_cells.escaped(text) == f"'{text}"


@pytest.mark.parametrize("text", ["Acme", "a=b", "1+1", "info@example.com", "", "'quoted", "Müller"])
def test_other_text_stays(text: str) -> None:
    assert csv_cells.escaped(text) == text


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert csv_cells.lines([[-5, 0, None]]) == "-5,0,\r\n"


def test_what_is_written_reads_back_cell_by_cell() -> None:
    rows = [["a,b", 'say "hi"', "two\nlines"], ["", "ü", "x"]]
    assert list(csv.reader(io.StringIO(csv_cells.lines(rows), newline=""))) == rows
