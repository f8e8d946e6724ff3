from datetime import UTC, date, datetime

import pytest

from portal.tree import Node
from tests.books import a_payer, an_account, bills, check_books, run_month, store
from tests.world import OPERATOR, World, administrator


@pytest.fixture
def north(world: World) -> Node:
    """A distributor whose bills are three months late."""
    north = a_payer(date(2023, 1, 10))
    store(an_account(north))
    world.now = datetime(2023, 4, 4, 2, tzinfo=UTC)
    run_month(world)
    return north


def parked_id(world: World) -> str:
    [parked] = world.call("operators.list_parked", OPERATOR).json["items"]
    found: str = parked["parked_id"]
    return found


def test_a_released_bill_is_issued_as_it_stands_and_dated_today(world: World, north: Node) -> None:
    world.now = datetime(2023, 4, 6, 9, tzinfo=UTC)

    answer = world.call("operators.release_parked", OPERATOR, path={"parked_id": parked_id(world)})

    assert answer.status == 200
    assert (answer.json["state"], answer.json["bill_state"], answer.json["reference"]) == (
        "released",
        "issued",
        "10001",
    )
    [bill] = bills(north)
    assert (bill.issued_on, bill.due_on, bill.total_minor) == (date(2023, 4, 6), date(2023, 5, 6), 211)
    check_books(north)


def test_the_next_period_is_billed_then(world: World, north: Node) -> None:
    world.call("operators.release_parked", OPERATOR, path={"parked_id": parked_id(world)})

    world.stream("notifications.deliver_outbox")
    world.work("billing.on_billing_due", "Billing")

    assert [(bill.period_end_on.month, bill.state) for bill in bills(north)] == [
        (1, "issued"),
        (2, "issued"),
        (3, "issued"),
    ]
    check_books(north)


def test_it_is_released_once(world: World, north: Node) -> None:
    path = {"parked_id": parked_id(world)}
    world.call("operators.release_parked", OPERATOR, path=path)

    again = world.call("operators.release_parked", OPERATOR, path=path)

    assert (again.status, again.code) == (409, "not_waiting")
    assert len(bills(north)) == 1


def test_nothing_is_parked_under_that_id(world: World) -> None:
    assert world.call("operators.release_parked", OPERATOR, path={"parked_id": "prk_unknown"}).status == 404


def test_only_for_operators(world: World, north: Node) -> None:
    path = {"parked_id": parked_id(world)}

    assert world.call("operators.release_parked", administrator(north), path=path).status == 403
    assert [bill.state for bill in bills(north)] == ["parked"]
