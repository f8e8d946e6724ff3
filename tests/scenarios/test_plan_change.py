"""Accounts that change between the plans, through the real jobs: no day is billed twice, and none is left out."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal.accounts.records import find_account_at, find_renewal
from portal.billing.lines import lines_of
from portal.billing.records import Bill, list_parts
from portal.change import Change
from portal.periods import Period, payment_dates, subscribed_days
from portal.scope import EVERYTHING
from portal.subscriptions.spans import spans
from portal.table import Update, stage, write
from portal.tree import Node
from tests.books import (
    EXCHANGE,
    PRICES,
    a_payer,
    an_account,
    bills,
    check_books,
    lines,
    midnight,
    node_of,
    outcomes,
    priced,
    read_books,
    run_month,
    run_year,
    store,
)
from tests.builders import the_account
from tests.world import OPERATOR, World, administrator

CREATED = date(2023, 1, 10)
MONTHLY_FROM = date(2023, 1, 12)


def a_customer(
    *,
    counts: Any = 2,
    plan: str = "monthly",
    on: date = MONTHLY_FROM,
    billed_from: date | None = None,
    **values: Any,
) -> Node:
    """An account of a distributor, which is billed on every 24th unless said otherwise: from `billed_from` on,
    as if that were all there is of an older one.
    """
    began = min(CREATED, on)
    north = a_payer(billed_from or began, **values)
    if billed_from:
        store([priced(north, began, PRICES)])
    store(an_account(north, counts=counts, plan=plan, subscribed_on=on, created_at=midnight(began)))
    return north


def put(world: World, on: date, plan: str, effective_on: date | None = None, hour: int = 12) -> Any:
    """What an operator does on a day."""
    world.now = datetime(on.year, on.month, on.day, hour, tzinfo=UTC)
    body = {"plan": plan} | ({"effective_on": effective_on.isoformat()} if effective_on else {})
    answer = world.call("operators.change_plan", OPERATOR, path={"account_id": "acc_000001"}, body=body)
    assert answer.status == 200, answer.text
    return answer.json


def night(world: World, on: date) -> None:
    """What the schedules do early on a day."""
    world.now = datetime(on.year, on.month, on.day, 2, tzinfo=UTC)
    run_month(world)
    world.advance(minutes=10)
    run_year(world)


def run_years(world: World, days: Iterable[date]) -> None:
    """The annual job alone."""
    for day in days:
        world.now = midnight(day)
        run_year(world)


def nights(world: World, first: date, last: date, *also: date, payment_day: int = 24) -> None:
    """All nights in which there is something to bill."""
    days = {*also}
    for day in payment_dates(payment_day, first):
        if day > last:
            break
        days |= {day} if day >= first else set()
    for day in sorted(days):
        night(world, day)


def of_kind(north: Node, kind: str) -> list[Bill]:
    return [bill for bill in bills(north) if bill.bill_kind == kind]


def months(north: Node) -> list[tuple[date, str, int, int, int]]:
    """The lines of the consolidated bills: when, what, how many, for how many days, for how much."""
    return [
        (bill.period_end_on, line.kind, int(line.quantity), line.days, line.amount)
        for bill in of_kind(north, "monthly")
        for line in lines(bill)
    ]


def invoices(north: Node) -> list[tuple[date, int]]:
    """First day and net amount."""
    return [
        (bill.period_start_on, int(bill.net_minor)) for bill in of_kind(north, "annual") if bill.reference
    ]


def check_days(north: Node, number: int = 1, *, until: date) -> None:
    """Every subscribed day before `until` is on one bill: on a month's line, or within an invoiced term."""
    account = find_account_at(EVERYTHING, node_of(north, number))
    assert account is not None
    billed: Counter[date] = Counter()
    for bill in bills(north):
        period = Period(bill.period_start_on, bill.period_end_on)
        for line in (line for part in list_parts(EVERYTHING, bill) for line in lines_of(part)):
            if line.account_id != account.account_id or line.kind == "true_up":
                continue
            if line.kind == "annual":
                billed.update(period.dates())
                continue
            [of_span] = [
                days
                for span in spans(account, datetime(2040, 1, 1, tzinfo=UTC))
                if span.plan == "monthly" and (days := subscribed_days(period, span.start, span.end)).days
            ]
            assert of_span.days == line.days
            billed.update(of_span.dates())
    first, ended_on = account.subscribed_on, account.ended_on or date.max
    assert first is not None
    owed = set(Period(first, min(until, ended_on)).dates())
    assert {day for day in billed if day < min(until, ended_on)} == owed
    assert set(billed.values()) == {1}
    check_books(north)


def test_in_the_middle_of_a_period(world: World) -> None:
    counts = {EXCHANGE: [(CREATED, 2), (date(2023, 2, 10), 9), (date(2023, 2, 20), 4)]}
    north = a_customer(counts=counts)
    nights(world, MONTHLY_FROM, date(2023, 2, 3))
    put(world, date(2023, 2, 3), "annual")
    nights(world, date(2023, 2, 4), date(2023, 4, 24), date(2023, 2, 4))

    assert months(north) == [
        (date(2023, 1, 24), "monthly", 2, 12, 139),
        # The peak of its ten monthly days, and what it has grown by since the invoice.
        (date(2023, 2, 24), "monthly", 2, 10, 116),
        (date(2023, 2, 24), "true_up", 2, 344, 3393),
    ]
    assert invoices(north) == [(date(2023, 2, 3), 3600)]
    assert outcomes(of_kind(north, "monthly")[1]) == {"acc_000001": "billed"}
    assert outcomes(of_kind(north, "monthly")[2]) == {"acc_000001": "annual"}
    check_days(north, until=date(2024, 2, 3))


@pytest.mark.parametrize("hour", [0, 12])
def test_on_the_payment_day(world: World, hour: int) -> None:
    north = a_customer()
    nights(world, MONTHLY_FROM, date(2023, 2, 23))
    if hour:
        night(world, date(2023, 2, 24))
    put(world, date(2023, 2, 24), "annual", hour=hour)
    nights(world, date(2023, 2, 24), date(2023, 4, 24), date(2023, 2, 25))

    assert months(north)[1:] == [(date(2023, 2, 24), "monthly", 2, 31, 360)]
    assert invoices(north) == [(date(2023, 2, 24), 3600)]
    check_days(north, until=date(2024, 2, 24))


def test_in_the_period_and_on_the_day_of_subscribing(world: World) -> None:
    north = a_customer()
    put(world, MONTHLY_FROM, "annual")
    store(an_account(north, 2, counts=1, subscribed_on=MONTHLY_FROM))
    nights(world, date(2023, 1, 13), date(2023, 3, 24), date(2023, 1, 13))

    assert [line[3] for line in months(north)] == [12, 31, 28]
    assert invoices(north) == [(MONTHLY_FROM, 3600)]
    check_days(north, until=date(2024, 1, 12))
    check_days(north, 2, until=date(2023, 3, 24))


def test_scheduled_ahead_then_moved_then_taken_back(world: World) -> None:
    north = a_customer()
    put(world, date(2023, 1, 20), "annual", date(2023, 3, 10))
    nights(world, date(2023, 1, 24), date(2023, 2, 24))
    put(world, date(2023, 3, 9), "annual", date(2023, 4, 2))
    nights(world, date(2023, 3, 10), date(2023, 3, 24), date(2023, 3, 10), date(2023, 3, 11))
    put(world, date(2023, 4, 1), "monthly", hour=23)
    nights(world, date(2023, 4, 2), date(2023, 5, 24), date(2023, 4, 2), date(2023, 4, 3))

    assert invoices(north) == []
    assert [line[3] for line in months(north)] == [12, 31, 28, 31, 30]
    check_days(north, until=date(2023, 5, 24))


def test_scheduled_ahead_it_comes_by_itself_on_its_day(world: World) -> None:
    north = a_customer()
    put(world, date(2023, 1, 20), "annual", date(2023, 3, 10))
    nights(world, date(2023, 1, 24), date(2023, 4, 24), date(2023, 3, 9), date(2023, 3, 10))

    assert invoices(north) == [(date(2023, 3, 10), 3600)]
    assert [(line[0], line[3]) for line in months(north)] == [
        (date(2023, 1, 24), 12),
        (date(2023, 2, 24), 31),
        (date(2023, 3, 24), 14),
    ]
    check_days(north, until=date(2024, 3, 10))


def test_to_monthly_at_the_end_of_the_term_and_back_in_the_same_period(world: World) -> None:
    counts = {EXCHANGE: [(CREATED, 2), (date(2023, 12, 1), 3)]}
    north = a_customer(counts=counts, plan="annual", billed_from=date(2023, 11, 24))
    run_years(world, [MONTHLY_FROM])
    put(world, date(2023, 6, 1), "monthly")
    nights(world, date(2023, 12, 24), date(2024, 1, 23), date(2024, 1, 12))
    put(world, date(2024, 1, 18), "annual", date(2024, 1, 20))
    nights(world, date(2024, 1, 20), date(2024, 3, 24), date(2024, 1, 20))

    assert invoices(north) == [(MONTHLY_FROM, 3600), (date(2024, 1, 20), 5400)]
    assert months(north) == [
        (date(2023, 12, 24), "true_up", 1, 19, round(1800 * 19 / 365)),
        (date(2024, 1, 24), "monthly", 3, 8, round(540 * 8 / 31)),
    ]
    check_days(north, until=date(2025, 1, 20))


def test_to_monthly_on_the_day_that_is_also_a_payment_day(world: World) -> None:
    north = a_customer(plan="annual", on=date(2023, 1, 24), billed_from=date(2023, 12, 24))
    run_years(world, [date(2023, 1, 24)])
    put(world, date(2024, 1, 23), "monthly", hour=23)
    nights(world, date(2024, 1, 24), date(2024, 2, 24))

    assert invoices(north) == [(date(2023, 1, 24), 3600)]
    assert months(north) == [(date(2024, 2, 24), "monthly", 2, 31, 360)]
    check_days(north, until=date(2024, 2, 24))


def test_to_annual_on_the_leap_day_that_is_also_the_end_of_the_month(world: World) -> None:
    north = a_customer(on=date(2024, 1, 31), payment_day=31)
    put(world, date(2024, 2, 1), "annual", date(2024, 2, 29))
    nights(world, date(2024, 2, 29), date(2024, 3, 31), payment_day=31)

    assert invoices(north) == [(date(2024, 2, 29), 3600)]
    assert [(line[0], line[3], line[4]) for line in months(north)] == [(date(2024, 2, 29), 29, 360)]
    check_days(north, until=date(2025, 2, 28))


def test_to_monthly_at_the_end_of_a_term_that_began_on_a_leap_day(world: World) -> None:
    leap, end = date(2024, 2, 29), date(2025, 2, 28)
    north = a_customer(plan="annual", on=leap, billed_from=date(2025, 1, 31), payment_day=31)
    run_years(world, [leap])
    put(world, date(2024, 3, 1), "monthly")
    nights(world, end, date(2025, 3, 31), payment_day=31)

    assert invoices(north) == [(leap, 3600)]
    assert [(line[0], line[3], line[4]) for line in months(north)] == [(date(2025, 3, 31), 31, 360)]
    check_days(north, until=date(2025, 3, 31))


@pytest.mark.parametrize(
    ("removed_on", "billed_days", "invoiced"),
    [
        (date(2023, 3, 1), 5, []),
        (date(2023, 3, 10), 14, []),
        (date(2023, 3, 12), 14, [(date(2023, 3, 10), 3600)]),
    ],
)
def test_a_removal_before_on_and_after_the_day_of_a_change(
    world: World, removed_on: date, billed_days: int, invoiced: list[Any]
) -> None:
    north = a_customer()
    put(world, date(2023, 1, 20), "annual", date(2023, 3, 10))
    nights(world, date(2023, 1, 24), removed_on - timedelta(days=1), removed_on - timedelta(days=1))
    world.now = datetime(removed_on.year, removed_on.month, removed_on.day, 1, tzinfo=UTC)
    answer = world.call(
        "accounts.remove_account",
        administrator(north),
        path={"account_id": "acc_000001"},
        body={"approve_data_removal": True},
    )
    assert answer.status == 200, answer.text
    nights(world, removed_on, date(2023, 5, 24), removed_on, removed_on + timedelta(days=9))

    assert invoices(north) == invoiced
    assert [(line[0], line[3]) for line in months(north)][2:] == [(date(2023, 3, 24), billed_days)]
    account, renewal = the_account(node_of(north)), find_renewal(EVERYTHING, node_of(north))
    assert account.finally_billed_at is not None
    assert renewal is not None
    assert renewal.due_at is None or renewal.due_at == midnight(date(2024, 3, 10))
    shown = world.call("operators.get_plan", OPERATOR, path={"account_id": "acc_000001"}).json
    assert shown["upcoming_change"] is None
    check_days(north, until=removed_on)


def test_jobs_that_were_silent_over_a_change_bill_the_same(world: World, harness: Any) -> None:
    north = a_customer(counts={EXCHANGE: [(CREATED, 2), (date(2023, 3, 1), 5)]})
    nights(world, MONTHLY_FROM, date(2023, 1, 24))
    put(world, date(2023, 1, 25), "annual", date(2023, 2, 10))
    start = harness.snapshot()
    last = date(2023, 3, 24)
    nights(world, date(2023, 2, 10), last, date(2023, 2, 10))
    on_time = months(north), invoices(north), outcomes(of_kind(north, "monthly")[1])
    assert [line[1] for line in on_time[0]] == ["monthly", "monthly", "true_up"]

    for first in (run_month, run_year):
        harness.restore(start)
        world.now = midnight(last)
        first(world)
        night(world, last)
        assert (months(north), invoices(north), outcomes(of_kind(north, "monthly")[1])) == on_time
        check_days(north, until=date(2024, 2, 10))


def test_what_is_shown_before_and_after_the_day_of_a_change(world: World) -> None:
    north = a_customer()
    nights(world, MONTHLY_FROM, date(2023, 1, 24))
    put(world, date(2023, 2, 1), "annual", date(2023, 2, 10))

    def shown() -> tuple[Any, ...]:
        [row] = world.call("billing.list_billing_status", administrator(north)).json["items"]
        expected = row["next_payment_forecast"]
        forecast = world.call("billing.get_forecast", administrator(north)).json
        kinds = [(line["kind"], line["amount"]["minor"]) for line in forecast["lines"]]
        return row["subscription"], row["renewal_date"], expected["minor"], expected["billed_on"], kinds

    parts = [("monthly", 197), ("annual", 3600)]
    assert shown() == ("monthly", "2023-02-10", 3600, "2023-02-10", parts)
    night(world, date(2023, 2, 10))
    # The rest of the month is what is billed next; then the renewal.
    assert shown() == ("annual", "2024-02-10", 197, "2023-02-24", [("monthly", 197)])
    nights(world, date(2023, 2, 11), date(2023, 2, 24))
    assert shown() == ("annual", "2024-02-10", 3600, "2024-02-10", [])
    assert months(north)[-1][-1] == 197

    put(world, date(2024, 1, 25), "monthly")
    world.now = datetime(2024, 1, 30, tzinfo=UTC)
    [first, *_] = [row for row in [shown()] if row]
    assert first[:4] == ("annual", "2024-02-10", round(360 * 14 / 31), "2024-02-24")


def test_on_one_day_the_month_and_the_new_term_are_one_payment(world: World) -> None:
    north = a_customer()
    nights(world, MONTHLY_FROM, date(2023, 1, 24))
    put(world, date(2023, 2, 1), "annual", date(2023, 2, 24))
    [row] = world.call("billing.list_billing_status", administrator(north)).json["items"]
    assert (row["next_payment_forecast"]["minor"], row["next_payment_forecast"]["billed_on"]) == (
        3960,
        "2023-02-24",
    )


# A payment date that is rated when the account's term is over


@pytest.mark.parametrize("changes", [False, True])
def test_growth_is_not_lost_when_the_run_is_so_late_that_the_next_term_has_begun(
    world: World, harness: Any, changes: bool
) -> None:
    """The monthly job is silent for 70 days, over the end of a term, while the annual one is not."""
    counts = {
        EXCHANGE: [(CREATED, 2), (date(2023, 10, 1), 3), (date(2023, 12, 1), 7), (date(2024, 1, 20), 9)]
    }
    north = a_customer(counts=counts, plan="annual", billed_from=date(2023, 9, 24))
    run_years(world, [MONTHLY_FROM])
    nights(world, date(2023, 10, 24), date(2023, 11, 24))
    if changes:
        put(world, date(2023, 12, 1), "monthly")
    start = harness.snapshot()
    nights(world, date(2023, 12, 24), date(2024, 1, 24), date(2024, 1, 12))
    on_time = months(north), invoices(north), read_books(north).balances

    harness.restore(start)
    run_years(world, [date(2024, 1, 12)])
    night(world, date(2024, 2, 2))

    assert (months(north), invoices(north), read_books(north).balances) == on_time
    grown = [(on, quantity, amount) for on, kind, quantity, _, amount in on_time[0] if kind == "true_up"]
    assert grown == [
        (date(2023, 10, 24), 1, round(1800 * 80 / 365)),
        (date(2023, 12, 24), 4, round(4 * 1800 * 19 / 365)),
    ] + ([] if changes else [(date(2024, 1, 24), 2, round(2 * 1800 * 354 / 366))])
    check_books(north)


def test_growth_of_an_account_that_ended_meanwhile_is_not_lost_either(world: World) -> None:
    counts = {EXCHANGE: [(CREATED, 2), (date(2023, 12, 1), 7)]}
    north = a_customer(counts=counts, plan="annual", billed_from=date(2023, 9, 24))
    run_years(world, [MONTHLY_FROM])
    nights(world, date(2023, 10, 24), date(2023, 11, 24))
    account = the_account(node_of(north))
    write([stage(Update(account, Change(state="removal_pending", ended_on=date(2024, 1, 5))))])
    run_years(world, [date(2024, 1, 12)])

    night(world, date(2024, 1, 25))

    assert [(on, quantity) for on, _, quantity, _, _ in months(north)] == [(date(2023, 12, 24), 5)]
    assert invoices(north) == [(MONTHLY_FROM, 3600)]
    assert the_account(node_of(north)).finally_billed_at is not None


def test_two_late_payment_dates_of_a_term_that_is_over_are_measured_against_each_other(world: World) -> None:
    counts = {EXCHANGE: [(CREATED, 2), (date(2023, 11, 20), 3), (date(2023, 12, 1), 7)]}
    north = a_customer(counts=counts, plan="annual", billed_from=date(2023, 10, 24))
    run_years(world, [MONTHLY_FROM, date(2024, 1, 12)])

    night(world, date(2024, 1, 23))

    assert [(on, quantity) for on, _, quantity, _, _ in months(north)] == [
        (date(2023, 11, 24), 1),
        (date(2023, 12, 24), 4),
    ]
    check_books(north)


def test_a_parked_invoice_for_a_term_that_is_not_the_accounts_any_more_is_dropped(world: World) -> None:
    """As when the change was made in the instant in which the term began."""
    north = a_customer(plan="annual", billed_from=date(2026, 1, 24))
    run_years(world, [MONTHLY_FROM])
    world.now = midnight(date(2026, 2, 1))
    world.deliver("billing.on_billing_due", {"kind": "annual", "account": str(node_of(north))})
    [parked] = world.call("operators.list_parked", OPERATOR).json["items"]
    assert (parked["reasons"], parked["period_start"]) == (["too_many_periods"], "2024-01-12")
    changes = [{"plan": "monthly", "on": "2024-01-12"}]
    write([stage(Update(the_account(node_of(north)), Change(plan_changes=changes)))])

    path = {"parked_id": parked["parked_id"]}
    answer = world.call("operators.release_parked", OPERATOR, path=path)
    assert (answer.json["bill_state"], answer.json["reference"]) == ("nothing_to_bill", None)
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_billing_due", "Billing")

    assert invoices(north) == [(MONTHLY_FROM, 3600)]
    renewal = find_renewal(EVERYTHING, node_of(north))
    assert renewal is not None
    assert renewal.due_at is None
