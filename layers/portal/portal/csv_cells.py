"""CSV that a spreadsheet shows as it was meant: cells that it would run as formulas are escaped."""

import csv
import io
from collections.abc import Iterable

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001
"""The last four are the full-width forms, which spreadsheets fold to the plain ones."""

BYTE_ORDER_MARK = "\ufeff"
"""What a CSV file begins with, so that Excel reads it as UTF-8."""

Cell = str | int | None


def escaped(cell: Cell) -> str:
    """A cell's text. Text that would be taken for a formula gets an apostrophe in front; numbers do not."""
    if cell is None:
        return ""
    if isinstance(cell, int):
        return str(cell)
    return f"'{cell}" if cell.lstrip(" ").startswith(_STARTS_A_FORMULA) else cell


def lines(rows: Iterable[Iterable[Cell]]) -> str:
    """Rows as CSV text (RFC 4180: CRLF, quotes where needed)."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([escaped(cell) for cell in row] for row in rows)
    return text.getvalue()
