"""The oracle itself, against bills worked out by hand: it judges the portal, so nothing else may judge it."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from tests.simulation.diary import (
    Account,
    Correction,
    Diary,
    Distributor,
    Event,
    Payment,
    Prices,
    ServicePrice,
    State,
    Task,
)
from tests.simulation.oracle import (
    Bill,
    Line,
    Oracle,
    a_year_later,
    is_payment_date,
    next_payment_date,
    period_start,
    rounded,
    term_on,
)

OF, ACCOUNT, TASK = "dst", "acc", "tsk"
START, END = date(2023, 1, 24), date(2023, 2, 24)
BEFORE = datetime(2022, 1, 1, tzinfo=UTC)
PRICE = ServicePrice(300, 3000, tiers=((10, 200, 2000),))


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def diary(
    plan: str = "monthly",
    since: str = "2022-05-01",
    *,
    until: str = "",
    price: ServicePrice = PRICE,
    counts: tuple[tuple[str, int], ...] = (("2022-05-02", 1),),
) -> Diary:
    """One account; from these days on it has so many active entities of one kind."""
    prices = [Prices(date(2022, 1, 1), BEFORE, Fraction(4, 10), {"box": price})]
    made = Diary(
        {OF: Distributor(OF, date(2022, 1, 1), 24, "EUR", Fraction(17, 100), False, "invoice", prices)}
    )
    account = Account(ACCOUNT, OF, at(since), "subscription_without_trial", plan, tasks={TASK: Task("box")})
    account.removed_at = at(until) if until else None
    made.accounts[ACCOUNT] = account
    most = max(count for _, count in counts)
    for number, (day, count) in enumerate(counts):
        states = tuple(
            State(f"e{each}", "user", "active" if each < count else "inactive", None) for each in range(most)
        )
        made.events.append(Event(f"evt-{number}", ACCOUNT, TASK, at(day), at(day), states))
    return made


def month(of: Diary, end: date = END) -> Bill:
    of.billing_begun[OF, end] = at(end.isoformat())
    oracle = Oracle(of)
    oracle.bills()
    return oracle._bills["monthly", OF, end]


def the_line(of: Diary) -> Line:
    (line,) = month(of).lines.values()
    return line


def test_a_whole_month_of_one_entity() -> None:
    bill = month(diary())
    assert bill.lines == {(ACCOUNT, "box", "monthly"): Line(Fraction(1), 300, Fraction(2, 5), 31, 31, 180)}
    assert (bill.start, bill.net, bill.tax, bill.gross) == (START, 180, 31, 211)


def test_only_subscribed_days_count_and_the_highest_of_their_counts() -> None:
    counts = (("2023-01-24", 9), ("2023-02-10", 2), ("2023-02-12", 3), ("2023-02-20", 8))
    line = the_line(diary(since="2023-02-10", until="2023-02-20", counts=counts))
    assert (line.quantity, line.days, line.of_days, line.amount) == (
        3,
        10,
        31,
        rounded(Fraction(3 * 1800, 31)),
    )


@pytest.mark.parametrize(
    ("method", "quantity"),
    [("peak", Fraction(5)), ("last", Fraction(2)), ("average", Fraction(32_903, 10_000))],
)
def test_which_of_the_counts_is_billed(method: str, quantity: Fraction) -> None:
    # 10 days of 3, 10 of 5, 11 of 2 are 102 in 31 days.
    counts = (("2023-01-24", 3), ("2023-02-03", 5), ("2023-02-13", 2), ("2023-02-24", 9))
    price = ServicePrice(300, 3000, method=method)
    assert the_line(diary(price=price, counts=counts)).quantity == quantity


def test_the_tier_that_the_quantity_reaches_prices_every_unit() -> None:
    assert the_line(diary(counts=(("2022-05-02", 10),))).amount == 10 * 200 * 6 // 10
    assert the_line(diary(counts=(("2022-05-02", 9),))).amount == 9 * 300 * 6 // 10


def test_what_is_told_after_the_bill_was_begun_is_not_on_it() -> None:
    told_late = diary()
    (event,) = told_late.events
    told_late.events = [
        Event(event.event_id, ACCOUNT, TASK, event.occurred_at, at("2023-02-24T02:00:01"), event.states)
    ]
    assert month(told_late).lines == {}


def test_the_last_state_of_a_day_counts_and_midnight_belongs_to_the_next() -> None:
    assert month(diary(counts=(("2023-02-01T09:00", 1), ("2023-02-01T23:00", 0)))).lines == {}
    assert month(diary(counts=(("2023-02-24T00:00", 1),))).lines == {}
    assert month(diary(counts=(("2023-02-23T23:59", 1),))).lines != {}


def test_a_deleted_task_counts_nothing_whatever_its_entities_weigh() -> None:
    weighed = ServicePrice(300, 3000, weights=(("inactive", Fraction(1, 4)),))
    deleted = diary(price=weighed)
    deleted.accounts[ACCOUNT].tasks[TASK].deleted_at = at("2023-01-25T10:00")
    counted = [
        Oracle(deleted).counts(deleted.accounts[ACCOUNT], date(2023, 1, day), at("2023-02-24"))
        for day in (24, 25)
    ]
    assert counted == [{"box": 1}, {}]


def test_an_annual_account_is_invoiced_ahead_and_its_growth_for_the_rest_of_the_term() -> None:
    grown = diary("annual", "2023-02-01", counts=(("2023-01-25", 1), ("2023-02-01", 2)))
    grown.invoicing_begun[ACCOUNT, date(2023, 2, 1)] = at("2023-02-02")
    days = (date(2024, 2, 1) - END).days
    assert the_line(grown) == Line(
        Fraction(1), 3000, Fraction(2, 5), days, 365, rounded(Fraction(1800 * days, 365))
    )
    invoice = Oracle(grown).bills()["annual", ACCOUNT, date(2023, 2, 1)]
    assert (invoice.net, invoice.end, next(iter(invoice.lines.values())).days) == (
        1800,
        date(2024, 2, 1),
        365,
    )


def test_after_a_change_of_plan_the_month_is_billed_until_then_and_a_term_begins() -> None:
    changed = diary()
    changed.accounts[ACCOUNT].changes.append((at("2023-02-01"), "annual", date(2023, 2, 3)))
    line = the_line(changed)
    assert (line.days, line.amount) == (10, rounded(Fraction(1800, 31)))
    assert Oracle(changed).terms_begun(ACCOUNT, date(2024, 2, 4), at("2023-03-01")) == [
        date(2023, 2, 3),
        date(2024, 2, 3),
    ]


def test_a_trial_becomes_what_it_was_to_become_unless_it_is_removed_before() -> None:
    trial = diary("annual", "2023-01-10")
    account = trial.accounts[ACCOUNT]
    account.mode = "trial_with_auto_subscription"
    oracle = Oracle(trial)
    assert oracle.spans(account, at("2023-01-23T23:59:59")) == []
    assert oracle.spans(account, at("2023-01-24")) == [("annual", date(2023, 1, 24), None)]
    account.removed_at = at("2023-01-23")
    assert oracle.spans(account, at("2023-03-01")) == []


def test_payments_and_credit_notes_leave_the_rest() -> None:
    billed = diary(counts=(("2022-05-02", 4),))
    bill = month(billed)
    key = ACCOUNT, "box", "monthly"
    billed.money += [
        Payment("10001", 100),
        Correction("10001", lines=((key, Fraction(3)),)),
        Correction("10001", gross=50),
    ]
    left = Oracle(billed).settle({"10001": bill})["10001"]
    # 720 + 122; a unit off is 180 and the tax on it, 842 - 540 - 92 = 210 in all; then 50 as they are made up.
    assert (bill.net, bill.tax) == (720, 122)
    assert (left.paid, left.credited) == (100, 210 + 50)
    assert left.credited_tax == rounded(Fraction(260 * 122, 842))


def test_the_calendar() -> None:
    assert [next_payment_date(31, day) for day in (date(2024, 1, 31), date(2024, 2, 29))] == [
        date(2024, 2, 29),
        date(2024, 3, 31),
    ]
    assert period_start(30, date(2023, 2, 28)) == date(2023, 1, 30)
    assert is_payment_date(29, date(2023, 2, 28)) and not is_payment_date(29, date(2024, 2, 28))
    assert a_year_later(date(2024, 2, 29), 1) == date(2025, 2, 28)
    assert a_year_later(date(2024, 2, 29), 4) == date(2028, 2, 29)
    assert term_on(date(2024, 2, 29), date(2025, 2, 28)) == (date(2025, 2, 28), date(2026, 2, 28))


@pytest.mark.parametrize(("exact", "minor"), [("1/2", 1), ("49/100", 0), ("3/2", 2), ("5/2", 3)])
def test_halves_are_rounded_up(exact: str, minor: int) -> None:
    assert rounded(Fraction(exact)) == minor


def test_a_bill_far_above_the_last_ones_waits_for_an_operator() -> None:
    grown = diary(counts=(("2022-05-02", 1), ("2023-01-24", 80)))
    ends = [date(2022, 11, 24), date(2022, 12, 24), date(2023, 1, 24), END]
    for end in ends:
        grown.billing_begun[OF, end] = at(end.isoformat()) + timedelta(hours=2)
    oracle = Oracle(grown)
    assert [bill.parked for bill in oracle.bills().values()] == [False, False, False, True]
