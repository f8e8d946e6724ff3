from typing import Any

import pytest

from tests.engine_events import NOON, backup, on, report
from tests.trees import Tree, a_task, plant, store
from tests.world import Answer, World


@pytest.fixture
def tree(world: World) -> Tree:
    planted = plant(NOON)
    store(a_task(planted.account, planted.task_id + "0", NOON))
    report(world, backup(planted.account, planted.task_id + "0", on(5)))
    report(
        world,
        *(backup(planted.account, planted.task_id, on(day), run_id=f"run-{day}") for day in (3, 1, 4, 2, 5)),
    )
    return planted


def runs(world: World, tree: Tree, **query: str) -> Answer:
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    return world.call("tasks.list_task_runs", tree.users[tree.account], path=path, query=query)


def test_runs_come_latest_first_page_by_page(world: World, tree: Tree) -> None:
    seen: list[str] = []
    page: dict[str, Any] = {"next_cursor": ""}
    while page["next_cursor"] is not None:
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
        page = runs(world, tree, limit="2", **cursor).json
        assert page["total"] == 5
        seen += [run["run_id"] for run in page["items"]]
    assert seen == ["run-5", "run-4", "run-3", "run-2", "run-1"]


def test_a_page_that_ends_with_the_list_has_no_next(world: World, tree: Tree) -> None:
    assert runs(world, tree, limit="5").json["next_cursor"] is None


def test_a_cursor_is_good_for_its_list_and_caller_only(world: World, tree: Tree) -> None:
    cursor = runs(world, tree, limit="2").json["next_cursor"]
    other = {"account_id": tree.account.account, "task_id": tree.task_id + "0"}
    query = {"cursor": cursor}
    refused = [
        world.call("tasks.list_task_runs", tree.users[tree.account], path=other, query=query),
        world.call(
            "tasks.list_task_runs",
            tree.users[tree.partner],
            path=other | {"task_id": tree.task_id},
            query=query,
        ),
        runs(world, tree, cursor=cursor[:-2] + ("aa" if cursor[-2:] != "aa" else "bb")),
        runs(world, tree, cursor="nonsense"),
    ]
    assert [(answer.status, answer.code) for answer in refused] == [(400, "invalid_cursor")] * 4


def test_a_page_has_1_to_100_rows(world: World, tree: Tree) -> None:
    assert [runs(world, tree, limit=limit).code for limit in ("0", "101", "x")] == ["invalid"] * 3
