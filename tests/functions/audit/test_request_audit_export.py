from dataclasses import replace

import pytest

from portal.tree import VENDOR
from tests.trees import Tree, plant
from tests.world import OPERATOR, World

OPERATION = "audit.request_audit_export"


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(world.now)


def test_it_answers_at_once_with_a_waiting_export_and_sends_for_its_writer(world: World, tree: Tree) -> None:
    caller = tree.users[tree.partner]
    answer = world.call(
        OPERATION, caller, body={"from": "2023-01-01", "activity": ["sign-in"], "status": "failed"}
    )
    assert answer.status == 202
    assert answer.json | {"export_id": ""} == {
        "export_id": "",
        "state": "waiting",
        "filters": {"from": "2023-01-01T00:00:00Z", "activity": ["sign-in"], "status": "failed"},
        "requested_at": "2023-01-10T12:00:00Z",
        "finished_at": None,
        "rows": 0,
        "size_bytes": None,
        "failure": None,
    }
    shown = world.call("audit.get_audit_export", caller, path={"export_id": answer.json["export_id"]})
    assert shown.json == answer.json
    world.stream("notifications.deliver_outbox")
    assert world.messages("AuditExports") == [
        {"path": "dst_north/prt_north", "export_id": answer.json["export_id"], "turn": 0}
    ]


def test_asking_is_audited_itself(world: World, tree: Tree) -> None:
    for caller in (tree.users[tree.distributor], OPERATOR):
        assert world.call(OPERATION, caller, body={}).status == 202
        (entry,) = world.call("audit.list_audit_entries", caller).json["items"]
        assert (entry["activity"], entry["description"]) == (
            "notification",
            "Export of the audit trail requested",
        )
    world.stream("notifications.deliver_outbox")
    assert {message["path"] for message in world.messages("AuditExports")} == {"dst_north", str(VENDOR)}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from": "2023-01-11", "to": "2023-01-10"}, "to"),
        ({"activity": []}, "activity"),
        ({"activity": ["dancing"]}, "activity.0"),
        ({"status": "maybe"}, "status"),
        ({"account": ""}, "account"),
        ({"limit": 5}, "limit"),
        ({"from": 1673352000}, "from"),
    ],
)
def test_what_is_malformed_is_refused_by_name(
    world: World, tree: Tree, body: dict[str, object], field: str
) -> None:
    answer = world.call(OPERATION, tree.users[tree.distributor], body=body)
    assert (answer.status, answer.code) == (400, "invalid")
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_five_unfinished_exports_are_enough_for_one_user(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    for _ in range(5):
        assert world.call(OPERATION, caller, body={}).status == 202
    refused = world.call(OPERATION, caller, body={})
    assert (refused.status, refused.code) == (429, "too_many_exports")
    assert world.call(OPERATION, replace(caller, user_id="usr_other"), body={}).status == 202


def test_repeated_with_the_same_idempotency_key_it_asks_once(world: World, tree: Tree) -> None:
    caller, key = tree.users[tree.distributor], {"idempotency-key": "k"}
    first, second = (world.call(OPERATION, caller, body={}, headers=key) for _ in range(2))
    assert second.json == first.json
    assert world.call("audit.list_audit_entries", caller).json["total"] == 1
