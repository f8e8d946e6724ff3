import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from local.stage import sqs_record
from portal import keys
from portal.billing.reconciliation import bill_steps
from portal.billing.reconciliation.findings import Findings
from portal.billing.reconciliation.records import Hold
from portal.billing.reconciliation.walk import Place, Walk
from portal.billing.records import Bill, list_parts
from portal.scope import EVERYTHING
from portal.tree import Node
from tests.books import a_payer, an_account, bills, midnight, run_month, run_year, store
from tests.support import Harness
from tests.world import OPERATOR, Context, World

WORKER = "billing.on_reconciliation_due"
MESSAGE = {"distributor_id": "dst_north"}


@pytest.fixture
def north(world: World) -> Node:
    north = a_payer(date(2023, 1, 10))
    store(an_account(north))
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    run_month(world)
    return north


def test_sound_books_are_not_parked(world: World, north: Node) -> None:
    world.deliver(WORKER, MESSAGE)

    assert books_parked(world) == []


def spoil_lines(north: Node) -> None:
    (bill,) = bills(north)
    (part,) = list_parts(EVERYTHING, bill)
    part.lines = [part.lines[0] | {"quantity": "2"}]
    part.save()


def books_parked(world: World) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = world.call("operators.list_parked", OPERATOR).json["items"]
    return items


@pytest.mark.races
def test_at_once_it_is_parked_once(world: World, harness: Harness, north: Node) -> None:
    spoil_lines(north)

    for seed, outcomes in harness.rounds(4, lambda: world.deliver(WORKER, MESSAGE), seeds=range(3)):
        assert all(outcome.ok for outcome in outcomes), seed
        assert len(books_parked(world)) == 1


def test_it_may_die_at_every_write(world: World, harness: Harness, north: Node) -> None:
    spoil_lines(north)
    event = {"Records": [sqs_record(json.dumps(MESSAGE))]}

    for run in harness.sweep(lambda: world.invoke(WORKER, event), match=lambda call: bool(call.writes)):
        world.deliver(WORKER, MESSAGE)
        world.deliver(WORKER, MESSAGE)
        assert len(books_parked(world)) == 1, str(run)


def test_books_that_are_wrong_are_parked_and_held_until_released(world: World, north: Node) -> None:
    spoil_lines(north)

    world.context = Context(20_000)
    world.deliver(WORKER, MESSAGE)
    assert world.work(WORKER, "Reconciliation") > 2

    (row,) = books_parked(world)
    assert (row["kind"], row["distributor_id"], row["reasons"]) == ("books", "dst_north", ["books_wrong"])
    said = "Its roster or lines are not those that were issued."
    assert row["findings"] == [{"invariant": "B5", "about": "bill 10001", "said": said}]

    world.now = datetime(2023, 2, 24, 2, tzinfo=UTC)
    run_month(world)
    assert len(bills(north)) == 1
    path = {"parked_id": row["parked_id"]}
    assert world.call("operators.release_parked", OPERATOR, path=path).json["state"] == "released"
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_billing_due", "Billing")
    assert len(bills(north)) == 2


def held(world: World) -> list[str]:
    waiting = world.call("operators.list_parked", OPERATOR).json["items"]
    return [found["said"] for row in waiting if row["kind"] == "books" for found in row["findings"]]


def a_billed_month(world: World) -> Node:
    north = a_payer(date(2023, 1, 10))
    store(an_account(north, counts=10))
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    run_month(world)
    world.now = datetime(2023, 1, 25, 4, 30, tzinfo=UTC)
    return north


def test_a_number_that_is_given_out_meanwhile_is_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    north = a_billed_month(world)
    look_at = bill_steps._bill

    def credited_first(walk: Walk, bill: Bill, place: Place) -> Iterator[Place]:
        path, body = {"reference": bill.reference}, {"reason": "agreed", "amount": "1.00", "currency": "USD"}
        assert world.call("operators.create_credit_note", OPERATOR, path=path, body=body).status == 201
        yield from look_at(walk, bill, place)

    monkeypatch.setattr(bill_steps, "_bill", credited_first)
    world.deliver(WORKER, {"distributor_id": north.distributor})
    assert held(world) == []


def test_an_invoice_that_is_issued_meanwhile_is_right(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    north = a_billed_month(world)
    store(an_account(north, 2, plan="annual", subscribed_on=date(2023, 1, 25), counts=10))
    look_at = bill_steps._schedule
    world.acting = lambda function: nullcontext()

    def invoiced_first(walk: Walk) -> Findings:
        run_year(world)
        return look_at(walk)

    monkeypatch.setattr(bill_steps, "_schedule", invoiced_first)
    world.deliver(WORKER, {"distributor_id": north.distributor})
    assert (len(bills(north)), held(world)) == (2, [])


def test_an_account_that_was_being_created_with_the_roster_is_not_missing(world: World) -> None:
    north = a_billed_month(world)
    begun = bills(north)[0].created_at
    store(an_account(north, 2, subscribed_on=begun.date(), created_at=begun - timedelta(seconds=1)))
    world.deliver(WORKER, {"distributor_id": north.distributor})
    assert held(world) == []

    early = date(2023, 1, 23)
    store(an_account(north, 3, subscribed_on=early, created_at=midnight(early)))
    world.deliver(WORKER, {"distributor_id": north.distributor})
    assert held(world) == ["acc_000003 is not on its roster."]


@pytest.mark.parametrize(("hours", "late"), [(1, 0), (47, 0), (49, 1)])
def test_what_waited_for_the_books_is_late_only_some_time_after_they_were_let_go(
    world: World, hours: int, late: int
) -> None:
    north = a_payer(date(2023, 1, 10))
    world.now = datetime(2023, 3, 6, 4, 30, tzinfo=UTC)
    lifted_at = world.now - timedelta(hours=hours)
    store([Hold(keys.node(north), keys.HOLD, lifted_at=lifted_at, created_at=lifted_at)])
    world.deliver(WORKER, {"distributor_id": north.distributor})
    assert held(world) == ["The period until 2023-01-24 is not billed yet."] * late
