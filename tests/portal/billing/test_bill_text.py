from datetime import date
from decimal import Decimal

import pytest

from portal.billing import bill_text
from portal.money import Money
from portal.periods import Period
from portal.services import Service


@pytest.mark.parametrize(
    ("money", "shown"),
    [
        (Money(0, "USD"), "0.00"),
        (Money(123456789, "USD"), "1,234,567.89"),
        (Money(-123456, "USD"), "-1,234.56"),
        (Money(1234567, "JPY"), "1,234,567"),
        (Money(1234567, "KWD"), "1,234.567"),
    ],
)
def test_amounts(money: Money, shown: str) -> None:
    assert bill_text.amount(money) == shown


def test_dates_are_unambiguous_and_a_period_ends_on_its_last_day() -> None:
    assert (
        bill_text.days(Period(date(2022, 12, 24), date(2023, 1, 24))) == "24 December 2022 to 23 January 2023"
    )


def test_numbers_have_no_superfluous_zeros() -> None:
    shown = [bill_text.number(Decimal(text)) for text in ("98", "100", "12.50", "0.3333", "10.0000")]
    assert shown == ["98", "100", "12.5", "0.3333", "10"]
    assert [bill_text.percent(Decimal(text)) for text in ("0.17", "0.4", "0.125", "1")] == [
        "17 %",
        "40 %",
        "12.5 %",
        "100 %",
    ]


def test_every_service_has_a_name() -> None:
    assert set(bill_text.SERVICES) == set(Service)
    assert bill_text.service("box", "monthly") == "Box"
    assert bill_text.service("box", "true_up") == "Box (growth)"
