from dataclasses import replace
from decimal import Decimal

import pytest

from portal.billing.guard_rails import ParkReason, reasons_to_park
from portal.billing.rating import Line
from portal.money import Money

LINE = Line(
    account_id="acc_1",
    partner_id="prt_1",
    account_name="Moby Dick",
    account_email="moby.dick@example.com",
    service="microsoft_365_exchange",
    kind="monthly",
    quantity=Decimal(4),
    unit_price=300,
    discount=Decimal("0.4"),
    days=31,
    of_days=31,
    amount=720,
)


def usd(*minors: int) -> list[Money]:
    return [Money(minor, "USD") for minor in minors]


def park(
    lines: list[Line] | None = None,
    gross: int = 720,
    earlier: list[Money] | None = None,
    periods_due: int = 1,
) -> tuple[ParkReason, ...]:
    return reasons_to_park(
        [LINE] if lines is None else lines, Money(gross, "USD"), earlier or [], periods_due
    )


def test_a_sound_bill_is_not_parked() -> None:
    assert park(earlier=usd(700, 710, 720), periods_due=2) == ()


@pytest.mark.parametrize(
    ("gross", "earlier", "parked"),
    [
        (1000, usd(90, 100, 900), False),
        (1001, usd(90, 100, 900), True),
        (1001, usd(900, 90, 100), True),
        (99_999, usd(1, 1), False),
        (1001, usd(9000, 9000, 9000, 90, 100, 900), True),
        (1001, usd(1, 1, 1, 900, 900, 900), False),
        (1001, [Money(1, "EUR"), *usd(1, 1)], False),
        (1001, [*usd(1, 1), Money(5000, "EUR"), *usd(1)], True),
    ],
)
def test_more_than_ten_times_the_median_of_the_last_three_is_parked(
    gross: int, earlier: list[Money], parked: bool
) -> None:
    assert park(gross=gross, earlier=earlier) == (("far_above_recent_bills",) if parked else ())


@pytest.mark.parametrize("wrong", [replace(LINE, amount=-1), replace(LINE, quantity=Decimal(-1))])
def test_a_negative_line_is_parked(wrong: Line) -> None:
    assert park([wrong]) == ("negative_line",)


def test_a_second_line_for_an_account_and_service_is_parked() -> None:
    assert park([LINE, replace(LINE, quantity=Decimal(9), amount=9)]) == ("duplicate_line",)
    others = [
        replace(LINE, service="box"),
        replace(LINE, account_id="acc_2"),
        replace(LINE, kind="true_up"),
    ]
    assert park([LINE, *others]) == ()


def test_catching_up_more_than_two_periods_is_parked() -> None:
    assert park(periods_due=2) == ()
    assert park(periods_due=3) == ("too_many_periods",)


def test_every_reason_is_told() -> None:
    wrong = replace(LINE, amount=-1)
    assert park([wrong, wrong], gross=11, earlier=usd(1, 1, 1), periods_due=4) == (
        "far_above_recent_bills",
        "negative_line",
        "duplicate_line",
        "too_many_periods",
    )


@pytest.mark.parametrize("quantity", ["0", "0.5"])
def test_a_line_of_nothing_or_of_a_part_is_no_negative_one(quantity: str) -> None:
    assert park([replace(LINE, quantity=Decimal(quantity), amount=0)]) == ()
