import pytest

from portal.tree import Node
from tests.engine_events import NOON
from tests.trees import Tree, a_task, plant, store
from tests.world import World, administrator


@pytest.fixture
def tree(world: World) -> Tree:
    planted = plant(NOON)
    for task_id, name in (("tsk_2", "émile"), ("tsk_3", "Dora"), ("tsk_4", "Frank")):
        task = a_task(planted.account, task_id, NOON)
        task.name = name
        store(task)
    return planted


def test_tasks_come_by_name_page_by_page(world: World, tree: Tree) -> None:
    path = {"account_id": tree.account.account}
    first = world.call("tasks.list_tasks", tree.users[tree.account], path=path, query={"limit": "3"}).json
    assert [task["name"] for task in first["items"]] == ["Dora", "émile", "Frank"]
    assert first["total"] == 4
    query = {"limit": "3", "cursor": first["next_cursor"]}
    rest = world.call("tasks.list_tasks", tree.users[tree.account], path=path, query=query).json
    assert [task["name"] for task in rest["items"]] == ["Mail"]
    assert rest["next_cursor"] is None


def test_whoever_may_access_the_account_sees_its_tasks_without_entering_it(world: World, tree: Tree) -> None:
    path = {"account_id": tree.account.account}
    for portal in (tree.distributor, tree.partner, tree.account):
        assert world.call("tasks.list_tasks", tree.users[portal], path=path).json["total"] == 4


def test_others_do_not(world: World, tree: Tree) -> None:
    path = {"account_id": tree.account.account}
    assert world.call("tasks.list_tasks", tree.users[tree.direct], path=path).status == 404
    assert world.call("tasks.list_tasks", administrator(Node("dst_other")), path=path).status == 404
    assert world.call("tasks.list_tasks", path=path).status == 401
