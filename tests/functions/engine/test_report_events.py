"""Events from the backup engine, by what other operations tell afterwards."""

import json
from itertools import permutations
from typing import Any

import pytest

from portal import keys
from portal.accounts.records import Account
from portal.billing.records import Usage, get_usage
from portal.scope import EVERYTHING
from portal.table import find
from portal.tasks.records import Entity, Task, list_entities_ever, list_runs
from portal.tree import Node
from tests.engine_events import NOON, backup, changed, entity, event, on, outcomes, report
from tests.trees import Tree, a_task, account_records, plant, store
from tests.world import ENGINE, World, administrator


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(NOON)


def account_of(node: Node) -> Account:
    found = find(Account, keys.node(node), keys.NODE)
    assert found is not None
    return found


def usage_of(node: Node) -> Usage:
    return get_usage(EVERYTHING, node)


def task_of(node: Node, task_id: str) -> Task:
    found = find(Task, keys.node(node), keys.task(task_id))
    assert found is not None
    return found


def stored_entity(tree: Tree, entity_id: str = "m1") -> Entity:
    found = find(Entity, keys.node(tree.account), keys.entity(tree.task_id, entity_id))
    assert found is not None
    return found


def shown_entities(world: World, tree: Tree) -> list[dict[str, Any]]:
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    listed = world.call("tasks.list_task_entities", tree.users[tree.account], path=path)
    items: list[dict[str, Any]] = listed.json["items"]
    return items


def shown_task(world: World, tree: Tree) -> dict[str, Any]:
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    shown: dict[str, Any] = world.call("tasks.get_task", tree.users[tree.account], path=path).json
    return shown


def test_entities_and_a_run_are_shown_with_their_task(world: World, tree: Tree) -> None:
    results = report(
        world,
        changed(tree.account, tree.task_id, on(9), entity("m1", bytes=700), entity("m2", licensed=False)),
        backup(tree.account, tree.task_id, on(9, 11), run_id="run-1", status="partial", errors=["m2"]),
    )
    assert [result["result"] for result in results] == ["accepted", "accepted"]
    assert shown_entities(world, tree) == [
        {
            "entity_id": "m1", "name": "Mailbox m1", "kind": "mailbox", "status": "active", "licensed": True,
            "size_bytes": 700, "last_backup_at": None,
        },
        {
            "entity_id": "m2", "name": "Mailbox m2", "kind": "mailbox", "status": "active", "licensed": False,
            "size_bytes": 1000, "last_backup_at": None,
        },
    ]  # fmt: skip
    task = shown_task(world, tree)
    assert (task["entity_count"], task["billable_count"], task["size_bytes"]) == (2, 1, 1700)
    assert task["last_run"] == {"run_id": "run-1", "finished_at": "2023-01-09T11:00:00Z", "status": "partial"}
    account = account_of(tree.account)
    assert (account.size_bytes, account.backup_status) == (1700, "partially_failed")
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    runs = world.call("tasks.list_task_runs", tree.users[tree.account], path=path).json
    assert (runs["total"], runs["items"][0]["errors"]) == (1, ["m2"])


def test_a_repeated_event_changes_nothing(world: World, tree: Tree) -> None:
    events = [changed(tree.account, tree.task_id, on(9)), backup(tree.account, tree.task_id, on(9))]
    assert outcomes(world, *events, *events) == ["accepted", "accepted", "duplicate", "duplicate"]
    before = task_of(tree.account, tree.task_id)
    assert outcomes(world, *events) == ["duplicate", "duplicate"]
    after = task_of(tree.account, tree.task_id)
    assert (after.version, after.size_bytes, after.run_count) == (before.version, 1000, 1)


def test_a_run_told_of_under_two_event_ids_counts_once(world: World, tree: Tree) -> None:
    once, again = (backup(tree.account, tree.task_id, on(9), run_id="run-1") for _ in range(2))
    assert outcomes(world, once, again) == ["accepted", "duplicate"]
    assert task_of(tree.account, tree.task_id).run_count == 1


@pytest.mark.parametrize("in_one_call", [True, False])
def test_the_order_of_arrival_makes_no_difference(world: World, in_one_call: bool) -> None:
    """All orders of the same four events, each in an account of its own, end as the same bytes."""
    ends = set()
    for number, order in enumerate(permutations(range(4))):
        node, task_id = Node("dst_1", "prt_1", f"acc_{number:02d}"), "tsk_1"
        store(*account_records(node, "Account", NOON), a_task(node, task_id, NOON))
        events = [
            changed(node, task_id, on(6), entity("m1", bytes=5, name="First")),
            event(node, "discovery.completed", on(7), task_id=task_id, vanished=["m1"]),
            changed(node, task_id, on(8), entity("m1", bytes=9, name="Last", status="archived")),
            event(
                node, "discovery.completed", on(8, 11), task_id=task_id,
                new=[{"entity_id": "m2", "name": "Found", "kind": "mailbox"}],
            ),
        ]  # fmt: skip
        for place, each in enumerate(events):
            each["event_id"] = f"evt-{place}"
        chosen = [events[place] for place in order]
        for call in [chosen] if in_one_call else [[each] for each in chosen]:
            assert set(outcomes(world, *call)) == {"accepted"}
        ends.add(_left_of(node, task_id))
    assert len(ends) == 1
    assert '"size_bytes": "9"' in next(iter(ends))


def _left_of(node: Node, task_id: str) -> str:
    """All that events have left of an account, without its id and how often it was written."""
    left = [*list_entities_ever(EVERYTHING, node), task_of(node, task_id), account_of(node), usage_of(node)]
    own = {
        "pk",
        "sk",
        "version",
        "account_id",
        "email",
        "parent_pk",
        "parent_sk",
        "distributor_pk",
        "distributor_sk",
    }
    plain = [
        {
            name: str(next(iter(value.values())))
            for name, value in record.serialize().items()
            if name not in own
        }
        for record in left
    ]
    return json.dumps(plain, sort_keys=True)


def test_an_entity_known_only_to_have_vanished_gets_its_name_later(world: World, tree: Tree) -> None:
    vanished = event(tree.account, "discovery.completed", on(9), task_id=tree.task_id, vanished=["m1"])
    report(world, vanished)
    assert shown_entities(world, tree)[0]["name"] == "m1"
    report(world, changed(tree.account, tree.task_id, on(8)))
    shown = shown_entities(world, tree)[0]
    assert (shown["name"], shown["status"], shown["size_bytes"]) == ("Mailbox m1", "inactive", 1000)
    assert shown_task(world, tree)["billable_count"] == 0


def test_discovery_keeps_the_size_of_what_is_known(world: World, tree: Tree) -> None:
    found = {"entity_id": "m1", "name": "Renamed", "kind": "mailbox", "licensed": True}
    report(
        world,
        changed(tree.account, tree.task_id, on(8)),
        event(tree.account, "discovery.completed", on(9), task_id=tree.task_id, new=[found]),
    )
    assert (stored_entity(tree).name, stored_entity(tree).size_bytes) == ("Renamed", 1000)


def test_the_timeline_holds_one_state_a_day_and_none_older_than_is_counted(world: World, tree: Tree) -> None:
    for day in range(1, 10):
        report(world, *(changed(tree.account, tree.task_id, on(day, hour)) for hour in (1, 9, 5)))
    assert len(stored_entity(tree).timeline) == 9
    assert all(at % 86_400_000 == 9 * 3_600_000 for at, *_ in stored_entity(tree).timeline)
    usage = usage_of(tree.account)
    usage.unsettled_from_on = None
    usage.index()
    usage.save()
    world.advance(days=100)
    report(world, changed(tree.account, tree.task_id, on(15, month=4)))
    assert len(stored_entity(tree).timeline) == 2


def test_each_event_is_refused_or_taken_in_by_itself(world: World, tree: Tree) -> None:
    good = changed(tree.account, tree.task_id, on(9))
    results = report(
        world,
        good,
        changed(tree.account, tree.task_id, on(9), entity(bytes=-1)),
        {"event_id": "evt-odd", "type": "weather.changed"},
        "nonsense",
        changed(Node("dst_1", "prt_1", "acc_nowhere"), tree.task_id, on(9)),
        changed(tree.direct, tree.task_id, on(9)),
        changed(tree.account, tree.task_id, on(10, 14)),
        event(tree.account, "restore.completed", on(9), restore_id="rst_1", status="success"),
        event(tree.account, "export.completed", on(9), export_id="exp_1", status="success"),
        event(tree.account, "purge.completed", on(9)),
        event(tree.account, "purge.completed", on(9), task_id=tree.task_id),
        backup(tree.account, tree.task_id, on(9)),
    )
    assert [result.get("code", result["result"]) for result in results] == [
        "accepted", "invalid", "invalid", "invalid", "unknown_account", "unknown_task", "in_the_future",
        "unknown_restore", "unknown_export", "not_being_removed", "task_not_deleted", "accepted",
    ]  # fmt: skip
    assert results[0] == {"event_id": good["event_id"], "result": "accepted"}
    assert results[1]["errors"][0]["field"] == "entities.0.bytes"
    assert results[2]["event_id"] == "evt-odd"
    assert "event_id" not in results[3]
    assert account_of(tree.account).size_bytes == 1000


WRONG: dict[str, Any] = {
    "no id": {"event_id": None},
    "id with a separator": {"event_id": "a#b"},
    "endless id": {"event_id": "a" * 101},
    "no time zone": {"occurred_at": "2023-01-09T10:00:00"},
    "a number for an instant": {"occurred_at": 1673258400},
    "year 1": {"occurred_at": "0001-01-01T00:00:00+14:00"},
    "year 9999": {"occurred_at": "9999-12-31T23:59:59-14:00"},
    "unknown field": {"extra": 1},
    "no entities": {"entities": []},
    "too many entities": {"entities": [entity(f"m{number}") for number in range(46)]},
    "an entity twice": {"entities": [entity(), entity()]},
    "bytes as text": {"entities": [entity(bytes="5")]},
    "bytes as a fraction": {"entities": [entity(bytes=1.5)]},
    "endless bytes": {"entities": [entity(bytes=10**16)]},
    "licensed as text": {"entities": [entity(licensed="yes")]},
    "unknown status": {"entities": [entity(status="asleep")]},
    "empty name": {"entities": [entity(name=" ")]},
    "a name with a line break": {"entities": [entity(name="a\nb")]},
    "an id with a separator": {"entities": [entity("a#b")]},
    "an account's id as a list": {"account_id": ["acc"]},
}


def test_an_event_of_the_wrong_shape_is_refused(world: World, tree: Tree) -> None:
    given = [changed(tree.account, tree.task_id, on(9)) | wrong for wrong in WRONG.values()]
    assert dict(zip(WRONG, outcomes(world, *given), strict=True)) == dict.fromkeys(WRONG, "invalid")
    assert list(list_entities_ever(EVERYTHING, tree.account)) == []


def test_a_run_that_ends_before_it_starts_or_later_than_now_is_refused(world: World, tree: Tree) -> None:
    assert outcomes(
        world,
        backup(tree.account, tree.task_id, on(9), started_at=on(9, 11)),
        backup(tree.account, tree.task_id, on(9), finished_at=on(10, 14)),
    ) == ["invalid", "in_the_future"]
    assert list(list_runs(EVERYTHING, tree.account, tree.task_id)) == []


def test_a_call_without_1_to_100_events_is_refused(world: World) -> None:
    for body in ({}, {"events": []}, {"events": [{}] * 101}, {"events": {}}, {"events": [{}], "x": 1}, []):
        answer = world.call("engine.report_events", ENGINE, body=body)
        assert (answer.status, answer.code) == (400, "invalid"), body


def test_only_the_engine_reports(world: World, tree: Tree) -> None:
    for caller in (None, *tree.users.values()):
        answer = world.call("engine.report_events", caller, body={"events": [{}]})
        assert answer.status == (403 if caller else 401)


def test_the_backup_status_comes_from_the_last_run_of_each_active_task(world: World, tree: Tree) -> None:
    store(
        a_task(tree.account, "tsk_2", NOON),
        a_task(tree.account, "tsk_never_ran", NOON),
    )
    paused = a_task(tree.account, "tsk_paused", NOON)
    paused.state = "paused"
    store(paused)

    def status_after(*events: dict[str, Any]) -> str:
        assert set(outcomes(world, *events)) == {"accepted"}
        status: str = account_of(tree.account).backup_status
        return status

    assert status_after(backup(tree.account, "tsk_paused", on(8), status="failed")) == "no_backups"
    assert status_after(backup(tree.account, tree.task_id, on(8))) == "successful"
    assert status_after(backup(tree.account, "tsk_2", on(8), status="failed")) == "partially_failed"
    assert status_after(backup(tree.account, tree.task_id, on(9), status="failed")) == "failed"
    assert status_after(backup(tree.account, tree.task_id, on(7))) == "failed"
    both = [backup(tree.account, task_id, on(9, 12)) for task_id in (tree.task_id, "tsk_2")]
    assert status_after(*both) == "successful"


def test_a_call_may_hold_100_events_of_one_account_or_of_100(world: World, tree: Tree) -> None:
    one = [changed(tree.account, tree.task_id, on(9), entity(f"m{number}")) for number in range(100)]
    assert outcomes(world, *one) == ["accepted"] * 100
    assert account_of(tree.account).size_bytes == 100_000
    nodes = [tree.partner.child(f"acc_{number:03d}") for number in range(100)]
    for node in nodes:
        store(*account_records(node, "Account", NOON), a_task(node, "tsk_1", NOON))
    assert outcomes(world, *(changed(node, "tsk_1", on(9)) for node in nodes)) == ["accepted"] * 100
    assert [account_of(node).size_bytes for node in nodes] == [1000] * 100


def test_large_events_of_one_account_are_spread_over_transactions(world: World, tree: Tree) -> None:
    events = [
        changed(tree.account, tree.task_id, on(9), *(entity(f"m{first + n}", bytes=1) for n in range(45)))
        for first in range(0, 45 * 5, 45)
    ]
    assert outcomes(world, *events) == ["accepted"] * 5
    assert task_of(tree.account, tree.task_id).entity_count == 225


def test_what_an_account_being_removed_was_still_used_for_counts_on_its_last_bill(
    world: World, tree: Tree
) -> None:
    world.advance(hours=1)
    path = {"account_id": tree.account.account}
    removed = world.call(
        "accounts.remove_account", tree.users[tree.partner], path=path, body={"approve_data_removal": True}
    )
    assert removed.status < 300
    assert outcomes(
        world,
        changed(tree.account, tree.task_id, on(10, 12)),
        changed(tree.account, tree.task_id, on(10, 13)),
        backup(tree.account, tree.task_id, on(10, 12)),
        event(tree.account, "purge.completed", on(10, 13)),
    ) == ["accepted", "account_removed", "account_removed", "accepted"]
    assert account_of(tree.account).purged_at == world.now


def test_a_run_of_an_account_with_an_expired_trial_is_still_taken_in(world: World, tree: Tree) -> None:
    account = account_of(tree.account)
    account.state = "expired"
    account.save()
    assert outcomes(world, backup(tree.account, tree.task_id, on(9))) == ["accepted"]


def test_events_of_one_account_do_not_show_in_another(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(9)))
    assert account_of(tree.direct).size_bytes == 0
    partner = administrator(tree.partner)
    path = {"account_id": tree.direct.account, "task_id": tree.task_id}
    assert world.call("tasks.list_task_entities", partner, path=path).status == 404
