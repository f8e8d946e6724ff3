from typing import Any

import pytest

from portal.billing import facts
from portal.billing.records import find_usage
from portal.billing.usage import counts_on
from portal.periods import Period
from portal.scope import EVERYTHING
from portal.tasks.records import list_entities, list_entities_ever, list_runs, list_tasks_ever
from tests.builders import a_backup_task, the_account
from tests.engine_events import NOON, backup, changed, commands, entity, event, on, outcomes, report
from tests.trees import Tree, plant
from tests.world import Answer, World

DAYS = Period(NOON.date().replace(day=8), NOON.date().replace(day=12))


@pytest.fixture
def tree(world: World) -> Tree:
    """An account with two tasks: one of the tree's own, and one that is counted."""
    return plant(NOON)


@pytest.fixture
def task_id(world: World, tree: Tree) -> str:
    made = a_backup_task(world, tree.account, name="Drive")
    commands(world)
    return made


def delete(world: World, tree: Tree, task_id: str) -> Answer:
    path = {"account_id": tree.account.account, "task_id": task_id}
    return world.call("tasks.delete_task", tree.users[tree.account], path=path)


def get(world: World, tree: Tree, task_id: str) -> Answer:
    path = {"account_id": tree.account.account, "task_id": task_id}
    return world.call("tasks.get_task", tree.users[tree.account], path=path)


def snapshot(world: World) -> None:
    world.run("billing.run_usage_snapshot")
    world.work("billing.on_usage_due", "Usage")


def counted(tree: Tree) -> list[Any]:
    usage = find_usage(EVERYTHING, tree.account)
    assert usage is not None
    return counts_on(facts.load(usage.facts).get("microsoft_365_exchange", []), DAYS)


def test_the_engine_is_told_and_the_account_gets_smaller_at_once(
    world: World, tree: Tree, task_id: str
) -> None:
    report(
        world,
        changed(tree.account, tree.task_id, on(9), entity(bytes=5)),
        changed(tree.account, task_id, on(9), entity(bytes=700)),
        backup(tree.account, task_id, on(9), status="failed"),
    )
    account = the_account(tree.account)
    assert (account.size_bytes, account.task_count, account.backup_status) == (705, 1, "failed")
    answer = delete(world, tree, task_id)
    assert (answer.status, answer.json["state"]) == (200, "deleting")
    assert get(world, tree, task_id).json == answer.json
    account = the_account(tree.account)
    assert (account.size_bytes, account.task_count, account.backup_status) == (5, 0, "no_backups")
    (command,) = commands(world)
    assert (command["command"], command["task_id"]) == ("task.delete", task_id)


def test_a_task_is_deleted_once(world: World, tree: Tree, task_id: str) -> None:
    delete(world, tree, task_id)
    repeated = delete(world, tree, task_id)
    assert (repeated.status, repeated.code) == (409, "task_being_deleted")
    assert the_account(tree.account).task_count == 0


def test_the_task_is_gone_once_the_engine_has_confirmed(world: World, tree: Tree, task_id: str) -> None:
    delete(world, tree, task_id)
    purged = [event(tree.account, "purge.completed", on(10, 12), task_id=task_id) for _ in range(2)]
    assert outcomes(world, *purged) == ["accepted", "accepted"]
    assert get(world, tree, task_id).status == 404
    path = {"account_id": tree.account.account}
    listed = world.call("tasks.list_tasks", tree.users[tree.account], path=path).json
    assert [task["task_id"] for task in listed["items"]] == [tree.task_id]


def test_entities_are_billable_until_the_task_is_deleted_and_no_longer(
    world: World, tree: Tree, task_id: str
) -> None:
    report(
        world,
        changed(tree.account, tree.task_id, on(8), entity("m1")),
        changed(tree.account, task_id, on(8), entity("m2"), entity("m3")),
    )
    delete(world, tree, task_id)
    world.advance(days=2)
    snapshot(world)
    assert counted(tree) == [3, 3, 1, 1]


def test_what_arrives_late_counts_on_the_days_before_the_deletion(
    world: World, tree: Tree, task_id: str
) -> None:
    delete(world, tree, task_id)
    world.advance(days=2)
    snapshot(world)
    assert outcomes(
        world,
        changed(tree.account, task_id, on(9), entity("m1")),
        changed(tree.account, task_id, on(10, 13), entity("m2")),
    ) == ["accepted", "task_deleted"]
    assert the_account(tree.account).size_bytes == 0
    world.advance(days=1)
    snapshot(world)
    assert counted(tree) == [0, 1, 0, 0]


def test_its_entities_are_shown_as_inactive_and_reported_no_more(
    world: World, tree: Tree, task_id: str
) -> None:
    report(world, changed(tree.account, task_id, on(9)), changed(tree.account, tree.task_id, on(9)))
    delete(world, tree, task_id)
    path = {"account_id": tree.account.account, "task_id": task_id}
    shown = world.call("tasks.list_task_entities", tree.users[tree.account], path=path).json["items"]
    assert [each["status"] for each in shown] == ["inactive"]
    assert [each.task_id for each in list_entities(EVERYTHING, tree.account)] == [tree.task_id]


def test_what_it_leaves_is_deleted_once_no_day_before_can_be_counted_anew(
    world: World, tree: Tree, task_id: str
) -> None:
    report(
        world,
        changed(tree.account, tree.task_id, on(8), entity("m1")),
        changed(tree.account, task_id, on(8), *(entity(f"m{number}") for number in range(45))),
        backup(tree.account, task_id, on(8)),
    )
    delete(world, tree, task_id)
    world.advance(days=70)
    snapshot(world)
    assert len(list(list_entities_ever(EVERYTHING, tree.account))) == 46
    world.advance(days=1)
    snapshot(world)
    assert [each.entity_id for each in list_entities_ever(EVERYTHING, tree.account)] == ["m1"]
    assert list(list_runs(EVERYTHING, tree.account, task_id)) == []
    assert [task.task_id for task in list_tasks_ever(EVERYTHING, tree.account)] == [tree.task_id]
    # Both tasks protected m1, which is one billable entity all the same.
    assert counted(tree) == [45, 45, 1, 1]
    usage = find_usage(EVERYTHING, tree.account)
    assert usage is not None
    assert (usage.tidy_on, usage.distributor_pk) == (None, None)
    assert outcomes(world, changed(tree.account, task_id, on(9))) == ["unknown_task"]


def test_a_task_of_another_account_is_not_deleted(world: World, tree: Tree) -> None:
    path = {"account_id": tree.direct.account, "task_id": tree.task_id}
    assert world.call("tasks.delete_task", tree.users[tree.distributor], path=path).status == 404
    assert get(world, tree, tree.task_id).json["state"] == "active"
