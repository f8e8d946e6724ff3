from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal.change import Change
from portal.table import Update, stage
from portal.tree import Node
from tests.books import PRICES, run_month
from tests.books import an_account as customer
from tests.builders import a_distributor, a_partner, an_account, an_email, the_account
from tests.trees import a_user, store
from tests.world import World, administrator


@pytest.fixture
def distributor(world: World) -> Node:
    return a_distributor(world)


def listed(world: World, distributor: Node, **query: str) -> list[dict[str, Any]]:
    answer = world.call("partners.list_partners", administrator(distributor), query=query or None)
    assert answer.status == 200, answer.text
    rows: list[dict[str, Any]] = answer.json["items"]
    return rows


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def backed_up(world: World, account: Node, size_bytes: int, status: str = "successful") -> None:
    """What the engine's reports make of an account."""
    record = the_account(account)
    stage(Update(record, Change(size_bytes=size_bytes, backup_status=status, task_count=1)))
    record.save()
    world.stream()


def test_the_first_row_is_the_direct_accounts(world: World, distributor: Node) -> None:
    a_partner(world, distributor, an_email(), name="Aaron")
    for sort in ("name", "-name", "size", "-size", "email", "-amount", "-billing_status", "-task_status"):
        rows = listed(world, distributor, sort=sort)
        assert names(rows) == ["Direct Accounts", "Aaron"]
    assert rows[0] == {
        "kind": "direct_accounts",
        "id": "direct",
        "name": "Direct Accounts",
        "email": None,
        "partner_id": None,
        "account_count": 0,
        "size_bytes": 0,
        "task_status": "no_accounts_yet",
        "billing_status": "successful",
        "amount": None,
    }


def test_a_row_follows_its_accounts(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor, "jacob@anderson.example.com", partner_id="DDEVR002")
    account = an_account(world, partner)
    world.stream()
    row = listed(world, distributor)[1]
    assert (row["account_count"], row["task_status"]) == (1, "no_tasks_yet")
    backed_up(world, account, 112_010_000_000, "partially_failed")
    row = listed(world, distributor)[1]
    assert row == {
        "kind": "partner",
        "id": partner.partner,
        "name": "Jacob Anderson",
        "email": "jacob@anderson.example.com",
        "partner_id": "DDEVR002",
        "account_count": 1,
        "size_bytes": 112_010_000_000,
        "task_status": "failures",
        "billing_status": "successful",
        "amount": None,
    }


@pytest.fixture
def billed(world: World) -> Node:
    """A distributor with a monthly bill over an account of partner Four and two of partner Two; Zero has
    none.
    """
    distributor = a_distributor(world, payment_day=24, billing_method="invoice", prices=PRICES)
    four, two, _ = (a_partner(world, distributor, an_email(), name=name) for name in ("Four", "Two", "Zero"))
    subscribed_on = date(2022, 12, 24)
    for number, (partner, mailboxes) in enumerate(((four, 4), (two, 1), (two, 1))):
        records = customer(
            distributor, number, counts=mailboxes, partner=partner.partner, subscribed_on=subscribed_on
        )
        store(*records)
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    run_month(world)
    return distributor


def money(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (
            row["name"],
            row["billing_status"],
            row["amount"] and (row["amount"]["kind"], row["amount"]["amount"]),
        )
        for row in rows
    ]


def test_a_row_says_what_its_accounts_owe(world: World, billed: Node) -> None:
    assert money(listed(world, billed)) == [
        ("Direct Accounts", "successful", None),
        ("Four", "all_bills_on_track", ("owed", "7.20")),
        ("Two", "all_bills_on_track", ("owed", "3.60")),
        ("Zero", "successful", None),
    ]
    assert listed(world, billed)[1]["amount"] == {
        "kind": "owed",
        "amount": "7.20",
        "minor": 720,
        "currency": "USD",
    }
    world.advance(days=31)
    assert [status for _, status, _ in money(listed(world, billed))] == [
        "successful",
        "failures",
        "failures",
        "successful",
    ]


def test_rows_are_sorted_and_chosen_by_money(world: World, billed: Node) -> None:
    assert names(listed(world, billed, sort="-amount")) == ["Direct Accounts", "Four", "Two", "Zero"]
    assert names(listed(world, billed, sort="amount")) == ["Direct Accounts", "Zero", "Two", "Four"]
    assert names(listed(world, billed, billing_status="all_bills_on_track")) == ["Four", "Two"]
    chosen = listed(world, billed, billing_status="successful", sort="-billing_status")
    assert money(chosen) == [("Direct Accounts", "successful", None), ("Zero", "successful", None)]


def test_search_finds_word_prefixes_without_case_and_accents(world: World, distributor: Node) -> None:
    a_partner(world, distributor, "zoe@first.example.com", name="Zoë Brown")
    a_partner(world, distributor, "second@example.com", name="Brownie Ltd")
    assert names(listed(world, distributor, search="ZOE brow")) == ["Zoë Brown"]
    assert names(listed(world, distributor, search="brow")) == ["Brownie Ltd", "Zoë Brown"]
    assert names(listed(world, distributor, search="second@")) == ["Brownie Ltd"]
    assert names(listed(world, distributor, search="direct")) == ["Direct Accounts"]
    assert listed(world, distributor, search="rown") == []


def test_rows_are_chosen_by_task_status(world: World, distributor: Node) -> None:
    failing, fine = (a_partner(world, distributor, an_email(), name=name) for name in ("Failing", "Fine"))
    backed_up(world, an_account(world, failing), 10, "failed")
    backed_up(world, an_account(world, fine), 20)
    assert names(listed(world, distributor, task_status="failures")) == ["Failing"]
    assert names(listed(world, distributor, task_status="successful")) == ["Fine"]
    assert names(listed(world, distributor, task_status="no_accounts_yet")) == ["Direct Accounts"]
    assert names(listed(world, distributor, sort="-size")) == ["Direct Accounts", "Fine", "Failing"]
    assert names(listed(world, distributor, sort="size")) == ["Direct Accounts", "Failing", "Fine"]


def test_pages_cover_the_whole_list_once(world: World, distributor: Node) -> None:
    for number in range(5):
        a_partner(world, distributor, an_email(), name=f"Partner {number}")
    for sort in ("name", "-name", "-size"):
        whole = names(listed(world, distributor, sort=sort))
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = world.call(
                "partners.list_partners",
                administrator(distributor),
                query={"limit": "2", "sort": sort, **cursor},
            ).json
            seen += names(page["items"])
            assert page["total"] == 6
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == whole


def test_a_limited_user_sees_only_what_is_accessible(world: World, distributor: Node) -> None:
    seen, unseen = (a_partner(world, distributor, an_email(), name=name) for name in ("Seen", "Unseen"))
    for under in (seen, unseen):
        backed_up(world, an_account(world, under), 1)
    mine, other = (an_account(world, distributor, name=name) for name in ("Mine", "Other"))
    backed_up(world, mine, 10)
    backed_up(world, other, 100, "failed")
    caller = administrator(distributor, "usr_limited", "limited@example.com")
    store(a_user(caller, world.now, accessible=[seen.partner, mine.account]))
    answer = world.call("partners.list_partners", replace(caller, limited=True))
    assert [(row["name"], row["account_count"], row["size_bytes"]) for row in answer.json["items"]] == [
        ("Direct Accounts", 1, 10),
        ("Seen", 1, 1),
    ]
    assert answer.json["items"][0]["task_status"] == "successful"
    assert answer.json["total"] == 2


def test_partners_accounts_and_operators_have_no_partners(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    account = an_account(world, partner)
    for caller in (administrator(partner), administrator(account)):
        assert world.call("partners.list_partners", caller).status == 403


def test_bad_queries_are_refused(world: World, distributor: Node) -> None:
    for query in (
        {"sort": "created"},
        {"sort": "--name"},
        {"task_status": "fine"},
        {"billing_status": "overdue"},
        {"search": "x" * 201},
        {"limit": "0"},
        {"limit": "101"},
        {"page": "2"},
    ):
        answer = world.call("partners.list_partners", administrator(distributor), query=query)
        assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (
            400,
            [f"{next(iter(query))}"] if "status" not in next(iter(query)) else [f"{next(iter(query))}.0"],
        )
