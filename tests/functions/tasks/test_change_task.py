from typing import Any

import pytest

from portal.engine.commands import COMMAND, ActivateTask
from tests.builders import the_account
from tests.engine_events import NOON, commands
from tests.trees import Tree, plant
from tests.world import Answer, World


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(NOON)


def change(world: World, tree: Tree, **body: Any) -> Answer:
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    return world.call("tasks.change_task", tree.users[tree.account], path=path, body=body)


def shown(world: World, tree: Tree) -> dict[str, Any]:
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    task: dict[str, Any] = world.call("tasks.get_task", tree.users[tree.account], path=path).json
    return task


def test_what_is_left_out_stays(world: World, tree: Tree) -> None:
    before = shown(world, tree)
    answer = change(world, tree, name="Letters")
    assert answer.json == before | {"name": "Letters"}
    assert shown(world, tree) == answer.json


def test_the_engine_is_told_the_new_settings_of_an_active_task(world: World, tree: Tree) -> None:
    chosen = {"scope": "selected", "entity_ids": ["m1"]}
    change(world, tree, protect=chosen)
    change(world, tree, name="Letters")
    first, second = (COMMAND.validate_python(command) for command in commands(world))
    assert isinstance(first, ActivateTask)
    assert isinstance(second, ActivateTask)
    assert first.protect.model_dump() == chosen
    assert (second.name, second.protect) == ("Letters", first.protect)
    assert second.revision > first.revision


def test_what_is_the_same_already_changes_nothing(world: World, tree: Tree) -> None:
    assert change(world, tree, name="Mail", protect={"scope": "all"}, frequency="daily").status == 200
    assert commands(world) == []


def test_the_engine_is_not_told_of_paused_tasks(world: World, tree: Tree) -> None:
    path = {"account_id": tree.account.account}
    world.call("tasks.pause_tasks", tree.users[tree.account], path=path, body={"task_ids": [tree.task_id]})
    commands(world)
    assert change(world, tree, name="Letters").status == 200
    assert commands(world) == []


def test_an_expired_trials_tasks_can_be_changed_but_do_not_run(world: World, tree: Tree) -> None:
    account = the_account(tree.account)
    account.state = "expired"
    account.save()
    assert change(world, tree, name="Letters").status == 200
    assert commands(world) == []


WRONG: list[dict[str, Any]] = [
    {"name": None},
    {"name": " "},
    {"protect": {}},
    {"frequency": 1},
    {"service": "box"},
]


def test_what_is_wrong_is_refused(world: World, tree: Tree) -> None:
    before = shown(world, tree)
    for wrong in WRONG:
        answer = change(world, tree, **wrong)
        assert (answer.status, answer.code) == (400, "invalid"), wrong
    assert shown(world, tree) == before


def test_several_backups_a_day_need_an_operators_leave(world: World, tree: Tree) -> None:
    assert change(world, tree, frequency="high").code == "high_frequency_not_allowed"


def test_a_task_being_deleted_does_not_change(world: World, tree: Tree) -> None:
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    world.call("tasks.delete_task", tree.users[tree.account], path=path)
    assert change(world, tree, name="Letters").code == "task_being_deleted"
