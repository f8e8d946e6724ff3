"""Taking events in while somebody changes what they were decided from, at the worst moment."""

from collections.abc import Callable
from typing import Any

import pytest

from portal.engine.intake import take_in
from portal.scope import EVERYTHING
from portal.table import Write, stage, write
from portal.tasks.records import list_entities_ever, list_runs
from tests.builders import the_account
from tests.engine_events import NOON, backup, changed, entity, event, on, report
from tests.trees import Tree, plant
from tests.world import World


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(NOON)


def interrupted(world: World, events: list[dict[str, Any]], interfere: Callable[[], Any]) -> list[str]:
    """What becomes of events when somebody interferes between their reading and their first writing."""
    tries = 0

    def commit(*writes: Write) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            interfere()
        write([stage(each) for each in writes])

    results = take_in(events, world.now, commit)
    assert tries == 2 or results[0].result == "refused"
    return [result.code or result.result for result in results]


def test_what_was_not_written_is_not_taken_for_a_repeat(world: World, tree: Tree) -> None:
    events = [
        changed(tree.account, tree.task_id, on(9), entity("m1")),
        backup(tree.account, tree.task_id, on(9)),
    ]
    between = changed(tree.account, tree.task_id, on(9), entity("m2"))
    assert interrupted(world, events, lambda: report(world, between)) == ["accepted", "accepted"]
    assert [each.entity_id for each in list_entities_ever(EVERYTHING, tree.account)] == ["m1", "m2"]
    assert the_account(tree.account).size_bytes == 2000
    assert len(list(list_runs(EVERYTHING, tree.account, tree.task_id))) == 1


def test_a_copy_of_the_same_events_wins(world: World, tree: Tree) -> None:
    events = [changed(tree.account, tree.task_id, on(9))]
    assert interrupted(world, events, lambda: report(world, *events)) == ["duplicate"]
    assert the_account(tree.account).size_bytes == 1000


def test_a_removal_in_between_is_respected(world: World, tree: Tree) -> None:
    """A second successful run changes nothing of the account: it is only checked."""
    report(world, backup(tree.account, tree.task_id, on(8)))

    def remove() -> None:
        path, body = {"account_id": tree.account.account}, {"approve_data_removal": True}
        world.call("accounts.remove_account", tree.users[tree.partner], path=path, body=body)

    assert interrupted(world, [backup(tree.account, tree.task_id, on(9))], remove) == ["account_removed"]


def test_a_copy_that_only_leaves_its_mark_wins_too(world: World, tree: Tree) -> None:
    """The task is purged already, so that nothing is changed but the event's own marker is new."""
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    world.call("tasks.delete_task", tree.users[tree.account], path=path)
    first, second = (event(tree.account, "purge.completed", on(10), task_id=tree.task_id) for _ in range(2))
    report(world, first)
    assert interrupted(world, [second], lambda: report(world, second)) == ["duplicate"]
