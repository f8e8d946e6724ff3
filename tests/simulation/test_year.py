"""A year in which everything happens that can, with faults in every night: every bill is the oracle's, to the cent."""

import ast
from datetime import date
from pathlib import Path
from statistics import median

import pytest

from tests.simulation.year import Sizes, simulate

LEAP_YEAR = date(2023, 12, 20)
"""The 29th of February is on the way, and every account of the first weeks comes to its second term."""


@pytest.mark.xdist_group("year")
def test_every_bill_of_a_year_is_right() -> None:
    report = simulate(
        seed=2, start=LEAP_YEAR, days=400, sizes=Sizes(accounts=3, most_accounts=6), forecast_days=(7,)
    )
    assert report.comparison.differences == []
    assert report.comparison.bills > 80
    assert report.comparison.lines > 300
    assert report.struck.total() > 100
    # People come and go as they like, which no forecast can know; half of them are within a tenth.
    assert median(each.error for each in report.asked("distributors", 7)) < 0.1
    assert median(each.error for each in report.asked("accounts", 7)) < 0.05


@pytest.mark.parametrize("module", ["oracle", "diary"])
def test_the_oracle_has_nothing_of_the_portals(module: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text())
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    ]
    assert [name for name in imported if name.startswith(("portal", "local"))] == []
