"""Engine events about a period that come while its bill is being made: they count until it is issued."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from portal.billing import annual, part_rating, roster
from portal.billing.records import Bill, Usage, list_parts, list_usages
from portal.billing.snapshot import settle_usage
from portal.scope import EVERYTHING
from portal.tree import Node
from tests.books import (
    a_payer,
    an_account,
    bills,
    check_books,
    lines,
    midnight,
    node_of,
    outcomes,
    run_month,
    store,
)
from tests.engine_events import changed, entity, on
from tests.engine_events import outcomes as results
from tests.trees import a_task
from tests.world import Context, World

PAYMENT_DAY = datetime.fromisoformat("2023-01-24T02:00:00+00:00")
MONTHLY = {"kind": "monthly", "distributor_id": "dst_north"}
THE_LAST_DAY, THE_PAYMENT_DAY = on(23), on(24, hour=0)


@pytest.fixture
def north(world: World, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A distributor with five accounts on three parts of its next bill; what its worker does, it does step by step."""
    monkeypatch.setattr(roster, "ACCOUNTS_IN_A_PART", 2)
    distributor = a_payer(date(2023, 1, 10))
    store(record for number in range(5) for record in an_account(distributor, number))
    store(a_task(node_of(distributor, number), "tsk_1", midnight(date(2022, 6, 1))) for number in range(5))
    world.now = PAYMENT_DAY
    world.context = Context(milliseconds=0)
    return distributor


def step(world: World, times: int = 1) -> None:
    for _ in range(times):
        world.deliver("billing.on_billing_due", MONTHLY)


def until_rated(world: World, north: Node) -> Bill:
    """The bill when all that is left to do is to issue it."""
    for _ in range(20):
        if bills(north) and bills(north)[0].roster_complete and bills(north)[0].rated_to == 3:
            break
        step(world)
    [bill] = bills(north)
    assert (bill.state, bill.net_minor) == ("draft", 5 * 180)
    return bill


def tell(world: World, account: Node, at: str, count: int) -> None:
    """The engine reports so many mailboxes of an account."""
    mailboxes = [entity(f"m{number}") for number in range(count)]
    assert results(world, changed(account, "tsk_1", at, *mailboxes)) == ["accepted"]


def versions(bill: Bill) -> list[int]:
    """How often each part was written."""
    return [int(part.version) for part in list_parts(EVERYTHING, bill)]


def test_what_is_told_after_the_rating_is_on_the_bill_and_only_its_part_is_rated_anew(
    world: World, north: Node
) -> None:
    before = versions(until_rated(world, north))
    tell(world, node_of(north, 2), THE_LAST_DAY, 4)
    tell(world, node_of(north, 4), THE_PAYMENT_DAY, 9)

    world.context = Context()
    step(world)

    [bill] = bills(north)
    assert (bill.state, bill.net_minor, bill.recounts) == ("issued", 8 * 180, 1)
    assert [line.quantity for line in lines(bill)] == [1, 1, 4, 1, 1]
    first, second, third = before
    assert versions(bill) == [first, second + 1, third]
    check_books(north)


def test_it_is_on_the_bill_too_where_the_nightly_snapshot_has_counted_it_meanwhile(
    world: World, north: Node
) -> None:
    until_rated(world, north)
    tell(world, node_of(north, 2), THE_LAST_DAY, 4)
    settle_usage(node_of(north, 2), PAYMENT_DAY.date(), world.now)

    world.context = Context()
    step(world)

    [bill] = bills(north)
    assert (bill.state, bill.net_minor) == ("issued", 8 * 180)


def test_what_is_told_of_the_payment_day_holds_nothing_up(world: World, north: Node) -> None:
    until_rated(world, north)
    tell(world, node_of(north, 2), THE_PAYMENT_DAY, 4)

    step(world)

    [bill] = bills(north)
    assert (bill.state, bill.net_minor, bill.recounts) == ("issued", 5 * 180, 0)


def test_an_account_that_has_no_line_holds_nothing_up(world: World, north: Node) -> None:
    store(an_account(north, 9, plan=None))
    store([a_task(node_of(north, 9), "tsk_1", midnight(date(2022, 6, 1)))])
    until_rated(world, north)
    tell(world, node_of(north, 9), THE_LAST_DAY, 4)

    step(world)

    [bill] = bills(north)
    assert (bill.state, bill.recounts, outcomes(bill)["acc_000009"]) == ("issued", 0, "trial")


def test_an_engine_that_tells_of_past_days_without_end_holds_the_bill_up_three_times(
    world: World, north: Node
) -> None:
    bill, count = until_rated(world, north), 1
    while bill.state == "draft":
        if bill.rated_to == bill.part_count:
            count += 1
            tell(world, node_of(north, 2), THE_LAST_DAY, count)
        step(world)
        [bill] = bills(north)

    assert (bill.recounts, count) == (3, 5)
    assert bill.net_minor == sum(line.amount for line in lines(bill)) == (4 + 4) * 180
    check_books(north)


def test_a_slow_copy_of_the_run_does_not_touch_a_bill_that_was_issued_meanwhile(
    world: World, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    until_rated(world, north)
    tell(world, node_of(north, 2), THE_LAST_DAY, 4)
    step(world)
    assert bills(north)[0].recounts == 1
    states: list[Any] = []

    def overtaken(scope: Any, accounts: list[Node]) -> dict[Node, Usage]:
        monkeypatch.setattr(part_rating, "list_usages", list_usages)
        # Another copy issues the bill; then the engine tells of it once more, and the slow one goes on.
        world.context = Context()
        step(world)
        states.append((bills(north)[0].state, versions(bills(north)[0])))
        tell(world, node_of(north, 0), THE_LAST_DAY, 7)
        return list_usages(scope, accounts)

    monkeypatch.setattr(part_rating, "list_usages", overtaken)
    step(world)

    [bill] = bills(north)
    assert states == [("issued", versions(bill))]
    assert (bill.state, bill.net_minor) == ("issued", 8 * 180)
    check_books(north)


def test_after_the_issue_it_counts_for_nothing_but_the_facts(world: World, north: Node) -> None:
    until_rated(world, north)
    world.context = Context()
    step(world)
    tell(world, node_of(north, 2), THE_LAST_DAY, 4)

    run_month(world)
    world.now += timedelta(days=31)
    run_month(world)

    january, february = bills(north)
    assert (january.net_minor, february.net_minor) == (5 * 180, 8 * 180)
    assert [line.quantity for line in lines(february) if line.account_id == "acc_000002"] == [4]
    check_books(north)


def test_an_annual_invoice_counts_what_is_told_while_it_is_being_made(
    world: World, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(an_account(north, 7, plan="annual", subscribed_on=PAYMENT_DAY.date()))
    account = node_of(north, 7)
    store([a_task(account, "tsk_1", midnight(date(2022, 6, 1)))])

    def interrupted(*given: Any) -> Any:
        monkeypatch.setattr(annual, "settle_usage", settle_usage)
        counted = settle_usage(*given)
        tell(world, account, THE_LAST_DAY, 4)
        return counted

    monkeypatch.setattr(annual, "settle_usage", interrupted)
    world.context = Context()
    world.deliver("billing.on_billing_due", {"kind": "annual", "account": str(account)})

    [invoice] = bills(north)
    assert (invoice.state, [line.quantity for line in lines(invoice)]) == ("issued", [4])
