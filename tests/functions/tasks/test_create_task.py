from typing import Any

import pytest

from portal import keys
from portal.accounts.records import Account
from portal.journal import AuditEntry
from portal.services import Service
from portal.table import find, query
from tests.engine_events import NOON, commands
from tests.trees import Tree, account_records, plant, store
from tests.world import Answer, World, administrator

MAIL = {"service": "microsoft_365_exchange", "name": "Mail"}


@pytest.fixture
def tree(world: World) -> Tree:
    planted = plant(NOON)
    store(*account_records(planted.partner.child("acc_new"), "New", NOON))
    return planted


def create(world: World, tree: Tree, as_: str = "distributor", **body: Any) -> Answer:
    caller = tree.users[getattr(tree, as_)]
    return world.call("tasks.create_task", caller, path={"account_id": "acc_new"}, body=MAIL | body)


def listed(world: World, tree: Tree) -> list[dict[str, Any]]:
    answer = world.call("tasks.list_tasks", tree.users[tree.partner], path={"account_id": "acc_new"})
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def test_a_new_task_is_paused_and_protects_everything_once_a_day(world: World, tree: Tree) -> None:
    answer = create(world, tree)
    assert answer.status == 201
    assert answer.json == {
        "task_id": answer.json["task_id"],
        "service": "microsoft_365_exchange",
        "name": "Mail",
        "protect": {"scope": "all"},
        "frequency": "daily",
        "state": "paused",
        "last_run": None,
        "entity_count": 0,
        "billable_count": 0,
        "size_bytes": 0,
        "created_at": "2023-01-10T12:00:00Z",
    }
    assert listed(world, tree) == [answer.json]
    assert commands(world) == []


def test_every_service_can_be_backed_up(world: World, tree: Tree) -> None:
    assert [create(world, tree, service=service.value).json["service"] for service in Service] == list(
        Service
    )


def test_the_task_is_counted_and_the_action_audited(world: World, tree: Tree) -> None:
    create(world, tree, as_="partner")
    node = tree.partner.child("acc_new")
    account = find(Account, keys.node(node), keys.NODE)
    assert account is not None
    assert account.task_count == 1
    (entry,) = query(AuditEntry, keys.node(node), "AUDIT")
    assert (entry.activity, entry.description) == ("tasks changed", "Created backup task Mail")


def test_selected_entities_can_be_protected(world: World, tree: Tree) -> None:
    chosen = {"scope": "selected", "entity_ids": ["anna@example.com", "box-7", "!$[]^_{}~"]}
    assert create(world, tree, protect=chosen).json["protect"] == chosen


def test_several_backups_a_day_need_an_operators_leave(world: World, tree: Tree) -> None:
    refused = create(world, tree, frequency="high")
    assert (refused.status, refused.code) == (409, "high_frequency_not_allowed")
    account = find(Account, keys.node(tree.partner.child("acc_new")), keys.NODE)
    assert account is not None
    account.high_frequency_allowed = True
    account.save()
    assert create(world, tree, frequency="high").json["frequency"] == "high"


WRONG: list[dict[str, Any]] = [
    {"service": "fax"},
    {"name": ""},
    {"name": "  "},
    {"name": "a" * 101},
    {"name": "a\nb"},
    {"name": None},
    {"frequency": "hourly"},
    {"protect": None},
    {"protect": {"scope": "selected"}},
    {"protect": {"scope": "selected", "entity_ids": []}},
    {"protect": {"scope": "selected", "entity_ids": ["a", "a"]}},
    {"protect": {"scope": "selected", "entity_ids": ["a#b"]}},
    {"protect": {"scope": "selected", "entity_ids": ['a"b']}},
    {"protect": {"scope": "selected", "entity_ids": ["a\\b"]}},
    {"protect": {"scope": "selected", "entity_ids": [f"{n:0128d}" for n in range(500)]}},
    {"name": "\u200b"},
    {"protect": {"scope": "all", "entity_ids": ["a"]}},
    {"state": "active"},
]


def test_what_is_wrong_is_refused(world: World, tree: Tree) -> None:
    for wrong in WRONG:
        answer = create(world, tree, **wrong)
        assert (answer.status, answer.code) == (400, "invalid"), wrong
    assert listed(world, tree) == []


def test_an_account_has_at_most_40_tasks(world: World, tree: Tree) -> None:
    for number in range(40):
        assert create(world, tree, name=f"Task {number:02d}").status == 201
    refused = create(world, tree)
    assert (refused.status, refused.code) == (409, "too_many_tasks")


def test_the_same_idempotency_key_creates_one_task(world: World, tree: Tree) -> None:
    once, again = (
        world.call(
            "tasks.create_task",
            tree.users[tree.distributor],
            path={"account_id": "acc_new"},
            body=MAIL,
            headers={"Idempotency-Key": "key-1"},
        )
        for _ in range(2)
    )
    assert once.json == again.json
    assert len(listed(world, tree)) == 1


def test_an_account_outside_the_callers_tree_does_not_exist(world: World, tree: Tree) -> None:
    other = plant(NOON, "south")
    for caller in (*other.users.values(), tree.users[tree.account]):
        refused = world.call("tasks.create_task", caller, path={"account_id": "acc_new"}, body=MAIL)
        assert refused.status == 404


def test_an_account_being_removed_gets_no_tasks(world: World, tree: Tree) -> None:
    path = {"account_id": "acc_new"}
    body = {"approve_data_removal": True}
    assert (
        world.call("accounts.remove_account", administrator(tree.partner), path=path, body=body).status < 300
    )
    refused = create(world, tree)
    assert (refused.status, refused.code) == (409, "removal_pending")
