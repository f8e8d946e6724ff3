from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal.access import access_parts
from portal.billing import history as billing_history
from portal.permissions import HELD_ON
from portal.scope import Caller
from portal.tree import Node, Tier
from tests import books
from tests.support import Harness
from tests.world import OPERATOR, World, administrator


@pytest.fixture
def north(world: World) -> Node:
    """An annual invoice of January 2023 over 21.06, and consolidated bills of two months over 8.42."""
    distributor = books.a_payer(date(2022, 12, 24))
    books.store(books.an_account(distributor, 1, counts=4))
    books.store(books.an_account(distributor, 2, counts=1, plan="annual", subscribed_on=date(2023, 1, 9)))
    books.run_year(world)
    for month in (1, 2):
        world.now = datetime(2023, month, 24, 3, tzinfo=UTC)
        books.run_month(world)
    return distributor


def history(world: World, distributor: Node, as_: Caller | None = None, **query: str) -> list[dict[str, Any]]:
    answer = world.call(
        "billing.list_billing_history", as_ or administrator(distributor), query=query or None
    )
    assert answer.status == 200, answer.text
    listed: list[dict[str, Any]] = answer.json["items"]
    return listed


def test_the_latest_bill_comes_first(world: World, north: Node) -> None:
    shown = [
        (
            row["reference"],
            row["account_name"],
            row["issue_date"],
            row["due_date"],
            row["amount"]["amount"],
            row["state"],
        )
        for row in history(world, north)
    ]
    assert shown == [
        ("10003", "Consolidated bill", "2023-02-24", "2023-03-26", "8.42", "issued"),
        ("10002", "Consolidated bill", "2023-01-24", "2023-02-23", "8.42", "overdue"),
        ("10001", "Customer 2", "2023-01-10", "2023-02-09", "21.06", "overdue"),
    ]


@pytest.mark.parametrize(
    ("query", "references"),
    [
        ({"kind": "annual"}, ["10001"]),
        ({"kind": "monthly"}, ["10003", "10002"]),
        ({"state": "issued"}, ["10003"]),
        ({"state": "paid"}, []),
        ({"from": "2023-01-24"}, ["10003", "10002"]),
        ({"to": "2023-01-24"}, ["10002", "10001"]),
        ({"from": "2023-01-11", "to": "2023-02-23"}, ["10002"]),
        ({"sort": "amount"}, ["10002", "10003", "10001"]),
        ({"sort": "reference"}, ["10001", "10002", "10003"]),
        ({"sort": "due_date", "limit": "2"}, ["10001", "10002"]),
        ({"sort": "issue_date"}, ["10001", "10002", "10003"]),
        ({"kind": "annual", "from": "2023-01-11"}, []),
        ({"from": "2023-03-01", "to": "2023-01-01"}, []),
        ({"from": "0001-01-01", "to": "9999-12-31"}, ["10003", "10002", "10001"]),
    ],
)
def test_filters_and_sorting(world: World, north: Node, query: dict[str, str], references: list[str]) -> None:
    assert [row["reference"] for row in history(world, north, **query)] == references


def test_a_paid_bill_says_so(world: World, north: Node) -> None:
    transfer = {"amount": "8.42", "currency": "USD", "received_on": "2023-02-24"}
    assert (
        world.call("operators.record_payment", OPERATOR, path={"reference": "10002"}, body=transfer).status
        == 201
    )
    (row,) = history(world, north, state="paid")
    assert (row["reference"], row["outstanding"]["amount"], row["paid_on"]) == ("10002", "0.00", "2023-02-24")


def test_drafts_and_parked_bills_are_not_in_it(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24), prices=None)
    books.store(books.an_account(distributor))
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    assert [bill.state for bill in books.bills(distributor)] == ["parked"]
    assert history(world, distributor) == []


def test_who_may_not_see_all_accounts_sees_no_consolidated_bill(world: World, north: Node) -> None:
    books.store(access_parts(north, "usr_limited", ["acc_000002"]))
    limited = Caller(
        kind="user",
        user_id="usr_limited",
        home=north,
        portal=north,
        permissions=HELD_ON[Tier.DISTRIBUTOR],
        limited=True,
    )
    assert [row["reference"] for row in history(world, north, limited)] == ["10001"]
    for name in ("pdf", "csv"):
        answer = world.call(f"billing.get_bill_{name}", limited, path={"reference": "10002"})
        assert answer.code == "not_found"
    assert world.call("billing.get_bill_pdf", limited, path={"reference": "10001"}).status == 302


def test_wrong_filters_are_refused(world: World, north: Node) -> None:
    for query in ({"from": "yesterday"}, {"state": "draft"}, {"kind": "weekly"}, {"colour": "red"}):
        answer = world.call("billing.list_billing_history", administrator(north), query=query)
        assert (answer.status, answer.code) == (400, "invalid")


def test_only_the_distributor_sees_it(world: World, north: Node) -> None:
    other = books.a_payer(date(2022, 12, 24), "south")
    assert history(world, other) == []
    for caller in (OPERATOR, administrator(north.child("prt_1")), administrator(books.node_of(north))):
        assert world.call("billing.list_billing_history", caller).code == "not_permitted"


def test_a_page_reads_its_own_bills_and_every_bill_stands_on_one_page(
    harness: Harness, world: World, north: Node
) -> None:
    listed, cursor, pages = [], None, 0
    while True:
        before = harness.counts.snapshot()
        query = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = world.call("billing.list_billing_history", administrator(north), query=query).json
        listed += page["items"]
        pages += 1
        calls = harness.counts.since(before).calls
        assert calls["dynamodb.Query"] == 1
        assert page["total"] is None
        if (cursor := page["next_cursor"]) is None:
            break
    assert [row["reference"] for row in listed] == ["10003", "10002", "10001"]
    assert (pages, [row["account_name"] for row in listed][-1]) == (3, "Customer 2")
    whole = world.call("billing.list_billing_history", administrator(north)).json
    assert (whole["items"], whole["total"], whole["next_cursor"]) == (listed, 3, None)


def test_a_cursor_belongs_to_its_filters_and_to_its_owner(world: World, north: Node) -> None:
    page = world.call("billing.list_billing_history", administrator(north), query={"limit": "1"}).json
    cursor, south = page["next_cursor"], books.a_payer(date(2022, 12, 24), "south")
    for caller, query in (
        (administrator(north), {"kind": "monthly"}),
        (administrator(north), {"sort": "amount"}),
        (administrator(south), {}),
    ):
        answer = world.call("billing.list_billing_history", caller, query=query | {"cursor": cursor})
        assert answer.code == "invalid_cursor"


def test_bills_that_are_passed_over_are_counted_too(
    world: World, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(billing_history, "MOST_EXAMINED", 1)
    found, cursor = [], ""
    for _ in range(3):
        query = {"kind": "annual"} | ({"cursor": cursor} if cursor else {})
        page = world.call("billing.list_billing_history", administrator(north), query=query).json
        found.append([row["reference"] for row in page["items"]])
        cursor = page["next_cursor"]
    assert (found, cursor) == ([[], [], ["10001"]], None)
