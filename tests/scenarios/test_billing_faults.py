"""Billing when anything fails, and when copies of it run at once: each period and term ends as one and the
same bill.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal import keys
from portal.accounts.records import Account, find_renewal
from portal.scope import EVERYTHING
from portal.table import find
from portal.tree import Node
from tests.books import (
    EXCHANGE,
    a_payer,
    an_account,
    bills,
    check_books,
    node_of,
    outbox,
    read_books,
    run_month,
    run_overdue,
    run_year,
    store,
)
from tests.support import Harness
from tests.world import OPERATOR, Context, World

pytestmark = pytest.mark.money

PAYMENT_DAY = datetime(2023, 1, 24, 2, tzinfo=UTC)
GROWN = {EXCHANGE: [(date(2022, 1, 1), 3), (date(2023, 1, 20), 5)]}
WORKER = "billing.on_billing_due"


@pytest.fixture
def north(world: World) -> Node:
    """A distributor with one account of each kind on its payment day: monthly, annual and grown, removed, on
    trial.
    """
    north = a_payer(date(2022, 11, 1))
    store(
        [
            *an_account(north, 1, subscribed_on=date(2022, 12, 24)),
            *an_account(north, 2, counts=GROWN, plan="annual", subscribed_on=date(2022, 12, 26)),
            *an_account(
                north,
                3,
                subscribed_on=date(2022, 12, 24),
                ended_on=date(2023, 1, 14),
                state="removal_pending",
            ),
            *an_account(north, 4, plan=None),
        ]
    )
    for day in ("2022-11-24", "2022-12-24", "2022-12-27"):
        world.now = datetime.fromisoformat(f"{day}T02:00:00+00:00")
        run_month(world)
        run_year(world)
    world.now = PAYMENT_DAY
    return north


def state(north: Node) -> Any:
    """All that a month or a term leaves behind, without the instants at which it did."""
    accounts = [find(Account, keys.node(node_of(north, number)), keys.NODE) for number in range(1, 5)]
    marks = [
        (account.first_billed_on is not None, account.finally_billed_at is not None)
        for account in accounts
        if account
    ]
    renewal = find_renewal(EVERYTHING, node_of(north, 2))
    invoiced = renewal and (renewal.due_at, renewal.term_start_on, renewal.invoiced, renewal.true_ups)
    return read_books(north), marks, invoiced


def deliver(world: World, worker: str, message: dict[str, Any]) -> Callable[[], Any]:
    """A worker's invocation; a message that it fails on stays in the queue."""

    def action() -> None:
        with suppress(AssertionError):
            world.deliver(worker, message)

    return action


def every_fault_ends_as(
    harness: Harness,
    world: World,
    distributor: Node,
    action: Callable[[], Any],
    *,
    a_minute_later: Callable[[], Any],
    a_day_later: Callable[[], Any],
) -> int:
    """Strike each call of the action with each fault, let it be done again, and compare with a run that
    nothing has happened to; returns how many runs there were.
    """
    start = harness.snapshot()
    action()
    check_books(distributor)
    expected = state(distributor)
    harness.restore(start)
    runs = 0
    for run in harness.sweep(action):
        struck = harness.snapshot()
        for later, again in (({"minutes": 1}, a_minute_later), ({"hours": 25}, a_day_later)):
            world.advance(**later)
            again()
            assert state(distributor) == expected, f"{run}, done again after {later}"
            harness.restore(struck)
            runs += 1
    return runs


def test_the_monthly_run_survives_every_fault(harness: Harness, world: World, north: Node) -> None:
    bill = deliver(world, WORKER, {"kind": "monthly", "distributor_id": north.distributor})

    runs = every_fault_ends_as(
        harness, world, north, bill, a_minute_later=bill, a_day_later=lambda: run_month(world)
    )

    assert runs > 150


def test_the_annual_run_survives_every_fault(harness: Harness, world: World, north: Node) -> None:
    run_month(world)
    world.now = datetime(2023, 12, 26, 2, tzinfo=UTC)
    invoice = deliver(world, WORKER, {"kind": "annual", "account": str(node_of(north, 2))})

    runs = every_fault_ends_as(
        harness, world, north, invoice, a_minute_later=invoice, a_day_later=lambda: run_year(world)
    )

    assert runs > 50
    invoice()
    assert [bill.net_minor for bill in bills(north) if bill.account_id] == [3 * 1800, 5 * 1800]


def test_an_overdue_bill_is_reminded_of_once_whatever_fails(
    harness: Harness, world: World, north: Node
) -> None:
    run_month(world)
    bill = bills(north)[-1]
    world.now = datetime(2023, 2, 23, 3, tzinfo=UTC)
    look = deliver(world, "billing.on_bill_due", {"distributor_id": north.distributor, "bill_sk": bill.sk})
    before = len(outbox(north, "Mail"))

    for run in harness.sweep(look):
        look()
        run_overdue(world)
        reminders = [body["parameters"] for body in outbox(north, "Mail")[before:]]
        assert [(each["reference"], each["days_past"]) for each in reminders].count(
            (bill.reference, 0)
        ) == 1, str(run)


def test_money_is_recorded_once_whatever_fails(harness: Harness, world: World, north: Node) -> None:
    run_month(world)
    bill = bills(north)[-1]

    def pay() -> int:
        return world.call(
            "operators.record_payment",
            OPERATOR,
            path={"reference": bill.reference},
            body={"amount": "1.00", "currency": "USD", "received_on": "2023-01-24"},
            headers={"Idempotency-Key": "transfer 1"},
        ).status

    for run in harness.sweep(pay):
        world.advance(minutes=1)
        assert pay() == 201, str(run)
        assert pay() == 201
        paid = next(each for each in bills(north) if each.sk == bill.sk)
        assert paid.paid_minor == 100, str(run)
        check_books(north)


@pytest.mark.parametrize("recovery", [{"minutes": 1}, {"hours": 25}], ids=["1m", "25h"])
def test_a_bill_is_credited_once_whatever_fails(
    harness: Harness, world: World, north: Node, recovery: dict[str, float]
) -> None:
    run_month(world)
    bill = bills(north)[-1]

    def credit() -> int:
        return world.call(
            "operators.create_credit_note",
            OPERATOR,
            path={"reference": bill.reference},
            body={"amount": "1.00", "currency": "USD", "reason": "Goodwill"},
            headers={"Idempotency-Key": "credit 1"},
        ).status

    for run in harness.sweep(credit):
        world.advance(**recovery)
        assert credit() == 201, str(run)
        assert credit() == 201
        credited = next(each for each in bills(north) if each.sk == bill.sk)
        assert credited.credited_minor == 100, str(run)
        check_books(north)


def test_a_parked_bill_is_released_once_whatever_fails(harness: Harness, world: World) -> None:
    north = a_payer(date(2023, 1, 10))
    store(an_account(north))
    world.now = datetime(2023, 4, 4, 2, tzinfo=UTC)
    run_month(world)
    parked_id = world.call("operators.list_parked", OPERATOR).json["items"][0]["parked_id"]

    def release() -> str:
        answer = world.call("operators.release_parked", OPERATOR, path={"parked_id": parked_id})
        return "released" if answer.status == 200 else answer.code

    for run in harness.sweep(release):
        assert release() in ("released", "not_waiting"), str(run)
        assert release() == "not_waiting"
        assert [(bill.state, bill.reference) for bill in bills(north)] == [("issued", "10001")], str(run)
        run_month(world)
        assert [bill.state for bill in bills(north)] == ["issued"] * 3, str(run)
        check_books(north)


# Copies


@pytest.mark.races
def test_copies_of_the_monthly_run_make_one_bill(harness: Harness, world: World, north: Node) -> None:
    bill = deliver(world, WORKER, {"kind": "monthly", "distributor_id": north.distributor})
    start = harness.snapshot()
    bill()
    check_books(north)
    expected = state(north)
    harness.restore(start)

    for seed, _ in harness.rounds(4, bill):
        bill()
        assert state(north) == expected, f"seed {seed}"


@pytest.mark.races
def test_32_copies_issue_one_bill(harness: Harness, world: World, north: Node) -> None:
    bill = deliver(world, WORKER, {"kind": "monthly", "distributor_id": north.distributor})
    world.context = Context(milliseconds=0)
    while not bills(north)[-1].rated_to:
        bill()
    assert bills(north)[-1].state == "draft"

    for seed, _ in harness.rounds(32, bill, seeds=range(3)):
        assert [each.state for each in bills(north) if each.period_end_on.month == 1] == ["issued"], (
            f"seed {seed}"
        )
        check_books(north)


@pytest.mark.races
def test_copies_of_the_annual_run_make_one_invoice(harness: Harness, world: World, north: Node) -> None:
    run_month(world)
    world.now = datetime(2023, 12, 26, 2, tzinfo=UTC)
    invoice = deliver(world, WORKER, {"kind": "annual", "account": str(node_of(north, 2))})

    for seed, _ in harness.rounds(8, invoice):
        assert [bill.net_minor for bill in bills(north) if bill.account_id] == [3 * 1800, 5 * 1800], (
            f"seed {seed}"
        )
        check_books(north)


@pytest.mark.races
def test_distributors_billed_at_once_get_numbers_without_a_gap(harness: Harness, world: World) -> None:
    payers = [a_payer(date(2023, 1, 10), name) for name in ("north", "south", "east", "west", "centre")]
    for payer in payers:
        store(an_account(payer))
    world.now = PAYMENT_DAY
    runs = [
        deliver(world, WORKER, {"kind": "monthly", "distributor_id": payer.distributor}) for payer in payers
    ]
    start = harness.snapshot()

    for seed in range(10):
        harness.run_together(runs, seed=seed)
        run_month(world)
        references = sorted(bill.reference or "" for payer in payers for bill in bills(payer))
        assert references == ["10001", "10002", "10003", "10004", "10005"], f"seed {seed}"
        check_books(*payers)
        harness.restore(start)


@pytest.mark.races
def test_the_same_transfer_recorded_at_once_cannot_pay_more_than_is_owed(
    harness: Harness, world: World, north: Node
) -> None:
    run_month(world)
    bill = bills(north)[-1]

    def pay() -> int:
        return world.call(
            "operators.record_payment",
            OPERATOR,
            path={"reference": bill.reference},
            body={"amount": f"{bill.total_minor / 100:.2f}", "currency": "USD", "received_on": "2023-01-24"},
        ).status

    for seed, outcomes in harness.rounds(8, pay):
        assert sorted(outcome.get() for outcome in outcomes) == [201] + [409] * 7, f"seed {seed}"
        check_books(north)
