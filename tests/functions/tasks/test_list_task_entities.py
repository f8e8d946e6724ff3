import pytest

from tests.engine_events import NOON, changed, entity, on, report
from tests.trees import Tree, a_task, plant, store
from tests.world import Answer, World


@pytest.fixture
def tree(world: World) -> Tree:
    planted = plant(NOON)
    store(a_task(planted.account, planted.task_id + "0", NOON))
    report(
        world,
        changed(planted.account, planted.task_id + "0", on(9), entity("other")),
        changed(
            planted.account, planted.task_id, on(9), *(entity(f"m{number}") for number in (3, 1, 5, 2, 4))
        ),
    )
    return planted


def entities(world: World, tree: Tree, **query: str) -> Answer:
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    return world.call("tasks.list_task_entities", tree.users[tree.partner], path=path, query=query)


def test_entities_come_by_id_page_by_page(world: World, tree: Tree) -> None:
    first = entities(world, tree, limit="3").json
    assert ([each["entity_id"] for each in first["items"]], first["total"]) == (["m1", "m2", "m3"], 5)
    rest = entities(world, tree, limit="3", cursor=first["next_cursor"]).json
    assert ([each["entity_id"] for each in rest["items"]], rest["next_cursor"]) == (["m4", "m5"], None)


def test_an_altered_cursor_is_refused(world: World, tree: Tree) -> None:
    cursor = entities(world, tree, limit="3").json["next_cursor"]
    assert (
        entities(world, tree, cursor="A" + cursor[1:] if cursor[0] != "A" else "B" + cursor[1:]).code
        == "invalid_cursor"
    )
