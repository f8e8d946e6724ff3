from tests.engine_events import NOON
from tests.trees import plant
from tests.world import World


def test_a_task_is_shown_in_its_account_only(world: World) -> None:
    tree = plant(NOON)
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    shown = world.call("tasks.get_task", tree.users[tree.account], path=path)
    assert (shown.status, shown.json["name"]) == (200, "Mail")
    listed = world.call("tasks.list_tasks", tree.users[tree.account], path=path).json["items"]
    assert listed == [shown.json]
    elsewhere = {"account_id": tree.direct.account, "task_id": tree.task_id}
    assert world.call("tasks.get_task", tree.users[tree.distributor], path=elsewhere).status == 404
    unknown = path | {"task_id": "tsk_unknown"}
    assert world.call("tasks.get_task", tree.users[tree.account], path=unknown).status == 404
