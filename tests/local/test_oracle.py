"""The oracle itself, against bills worked out by hand: it judges the portal, so nothing else may judge it."""

from datetime import UTC, date, datetime
from fractions import Fraction

import pytest

from local.oracle import Account, Line, Price, Task, Terms, period_after, rounded

TERMS = Terms(
    prices={"box": Price(300, 3000, tier=10, tier_monthly=200, tier_annual=2000)},
    discount=Fraction(4, 10),
    tax=Fraction(17, 100),
)
START, END = date(2023, 1, 24), date(2023, 2, 24)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _account(plan: str, since: date, *states: tuple[str, str, bool], until: date | None = None) -> Account:
    """With one task; of each state the entity, from when on, and whether it is billable then."""
    task = Task("box")
    for number, (entity, at, billable) in enumerate(states):
        task.entities.setdefault(entity, []).append((_at(at), f"event-{number}", billable))
    return Account("acc", plan, since, until, {"tsk": task})


def _lines(account: Account) -> list[Line]:
    return [line for _, line in TERMS.monthly(account, START, END)]


def test_a_whole_month_of_one_entity() -> None:
    account = _account("monthly", date(2022, 5, 1), ("a", "2022-05-02", True))
    assert _lines(account) == [Line(1, 300, 31, 31, 180)]


def test_the_highest_count_of_subscribed_days_is_billed_for_those_days() -> None:
    account = _account(
        "monthly",
        date(2023, 2, 10),
        ("a", "2023-01-30", True), ("b", "2023-01-30", True), ("b", "2023-02-09 23:59", False),
        until=date(2023, 2, 20),
    )  # fmt: skip
    assert _lines(account) == [Line(1, 300, 10, 31, rounded(Fraction(1800, 31)))]


def test_a_state_counts_as_it_is_when_the_day_ends_and_midnight_belongs_to_the_next() -> None:
    brief = _account("monthly", START, ("a", "2023-02-01 09:00", True), ("a", "2023-02-01 23:00", False))
    assert _lines(brief) == []
    at_midnight = _account("monthly", START, ("a", "2023-02-24 00:00", True))
    assert _lines(at_midnight) == []


def test_late_and_reordered_states_stand_by_their_time() -> None:
    account = _account("monthly", START, ("a", "2023-02-03", False), ("a", "2023-01-25", True))
    assert _lines(account)[0].quantity == 1
    assert account.count("box", date(2023, 2, 2)) == 1
    assert account.count("box", date(2023, 2, 3)) == 0


def test_a_deleted_task_counts_no_longer_from_its_last_day_on() -> None:
    account = _account("monthly", START, ("a", "2023-01-25", True))
    account.tasks["tsk"].deleted_at = _at("2023-01-27 10:00")
    assert [account.count("box", date(2023, 1, day)) for day in (26, 27)] == [1, 0]


def test_the_tier_that_the_quantity_reaches_prices_every_unit() -> None:
    account = _account("monthly", START, *((f"e{n}", "2023-01-25", True) for n in range(10)))
    assert _lines(account) == [Line(10, 200, 31, 31, 1200)]


@pytest.mark.parametrize(("plan", "since"), [("", None), ("monthly", END)])
def test_who_is_not_subscribed_in_the_period_is_not_billed(plan: str, since: date | None) -> None:
    account = _account(plan, START, ("a", "2023-01-25", True))
    account.subscribed_on = since
    assert _lines(account) == []


def test_an_annual_account_is_invoiced_ahead_and_its_growth_for_the_rest_of_the_term() -> None:
    account = _account("annual", date(2023, 2, 1), ("a", "2023-01-25", True), ("b", "2023-02-01", True))
    assert TERMS.invoice(account) == 1800
    days = (date(2024, 2, 1) - END).days
    assert _lines(account) == [Line(1, 3000, days, 365, rounded(Fraction(1800 * days, 365)))]


@pytest.mark.parametrize(("exact", "minor"), [("1/2", 1), ("49/100", 0), ("3/2", 2), ("5/2", 3)])
def test_halves_are_rounded_up(exact: str, minor: int) -> None:
    assert rounded(Fraction(exact)) == minor


@pytest.mark.parametrize(
    ("payment_day", "on", "start", "end"),
    [
        (24, date(2023, 1, 23), date(2023, 1, 24), date(2023, 2, 24)),
        (24, date(2023, 1, 24), date(2023, 2, 24), date(2023, 3, 24)),
        (31, date(2023, 1, 31), date(2023, 2, 28), date(2023, 3, 31)),
        (1, date(2023, 11, 30), date(2023, 12, 1), date(2024, 1, 1)),
    ],
)
def test_periods_go_from_payment_day_to_payment_day(
    payment_day: int, on: date, start: date, end: date
) -> None:
    assert period_after(payment_day, on) == (start, end)
