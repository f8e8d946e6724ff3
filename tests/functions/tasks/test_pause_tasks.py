from tests.engine_events import NOON, commands
from tests.trees import plant
from tests.world import World


def test_a_paused_task_stays_paused_until_it_is_activated(world: World) -> None:
    tree = plant(NOON)
    path, body = {"account_id": tree.account.account}, {"task_ids": [tree.task_id]}

    def pause() -> str:
        answer = world.call("tasks.pause_tasks", tree.users[tree.account], path=path, body=body)
        result: str = answer.json["results"][0]["result"]
        return result

    assert pause() == "paused"
    assert pause() == "already_paused"
    shown = world.call("tasks.get_task", tree.users[tree.account], path=path | {"task_id": tree.task_id})
    assert shown.json["state"] == "paused"
    assert [(command["command"], command["task_id"]) for command in commands(world)] == [
        ("task.pause", tree.task_id)
    ]


def test_a_task_being_deleted_is_not_paused(world: World) -> None:
    tree = plant(NOON)
    path, body = {"account_id": tree.account.account}, {"task_ids": [tree.task_id]}
    world.call("tasks.delete_task", tree.users[tree.account], path=path | {"task_id": tree.task_id})
    answer = world.call("tasks.pause_tasks", tree.users[tree.account], path=path, body=body)
    assert answer.json["results"] == [{"task_id": tree.task_id, "result": "task_being_deleted"}]
