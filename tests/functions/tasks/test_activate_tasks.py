from datetime import timedelta

import pytest

from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from tests.builders import a_backup_task, the_account
from tests.engine_events import NOON, backup, commands, on, report
from tests.trees import Tree, biggest_tasks, plant, store
from tests.world import Answer, World


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(NOON)


def activate(world: World, tree: Tree, *task_ids: str) -> Answer:
    path = {"account_id": tree.account.account}
    body = {"task_ids": list(task_ids)}
    return world.call("tasks.activate_tasks", tree.users[tree.distributor], path=path, body=body)


def test_each_task_is_told_what_became_of_it(world: World, tree: Tree) -> None:
    paused = a_backup_task(world, tree.account, active=False, name="Drive")
    answer = activate(world, tree, paused, tree.task_id, "tsk_unknown", paused)
    assert answer.json["results"] == [
        {"task_id": paused, "result": "activated"},
        {"task_id": tree.task_id, "result": "already_active"},
        {"task_id": "tsk_unknown", "result": "not_found"},
    ]
    path = {"account_id": tree.account.account, "task_id": paused}
    assert world.call("tasks.get_task", tree.users[tree.account], path=path).json["state"] == "active"
    (command,) = commands(world)
    assert command == {
        "command": "task.activate",
        "account_id": tree.account.account,
        "distributor_id": tree.distributor.distributor,
        "partner_id": tree.partner.partner,
        "task_id": paused,
        "revision": 2,
        "service": "microsoft_365_exchange",
        "name": "Drive",
        "protect": {"scope": "all"},
        "frequency": "daily",
    }
    descriptions = [entry.description for entry in query(AuditEntry, keys.node(tree.account), "AUDIT")]
    assert "Activated backup tasks: Drive" in descriptions


def test_all_tasks_of_an_account_can_be_activated_at_once(world: World, tree: Tree) -> None:
    task_ids = [a_backup_task(world, tree.account, active=False, name=f"Task {n:02d}") for n in range(40)]
    assert {result["result"] for result in activate(world, tree, *task_ids).json["results"]} == {"activated"}
    assert len(commands(world)) == 40


def test_however_big_they_are(world: World, tree: Tree) -> None:
    tasks = biggest_tasks(tree.direct, NOON, "paused")
    store(*tasks)
    path, body = {"account_id": tree.direct.account}, {"task_ids": [task.task_id for task in tasks]}
    answer = world.call("tasks.activate_tasks", tree.users[tree.direct], path=path, body=body)
    assert {result["result"] for result in answer.json["results"]} == {"activated"}
    assert len(commands(world)) == len(tasks)


def test_the_account_has_the_status_of_its_active_tasks_again(world: World, tree: Tree) -> None:
    report(world, backup(tree.account, tree.task_id, on(9), status="failed"))
    path, body = {"account_id": tree.account.account}, {"task_ids": [tree.task_id]}
    world.call("tasks.pause_tasks", tree.users[tree.account], path=path, body=body)
    assert the_account(tree.account).backup_status == "no_backups"
    activate(world, tree, tree.task_id)
    assert the_account(tree.account).backup_status == "failed"


def test_a_trial_backs_up_until_it_is_over_to_the_second(world: World, tree: Tree) -> None:
    account = the_account(tree.account)
    account.state, account.plan, account.subscribed_on = "trial", None, None
    account.subscription_default = {"mode": "trial_with_expiration", "plan": None}
    account.trial_ends_at = NOON + timedelta(seconds=1)
    account.save()
    paused = a_backup_task(world, tree.account, active=False)
    world.advance(seconds=1)
    refused = activate(world, tree, paused)
    assert (refused.status, refused.code) == (409, "backups_stopped")
    world.advance(seconds=-0.001)
    assert activate(world, tree, paused).json["results"][0]["result"] == "activated"


def test_an_account_being_removed_backs_up_nothing(world: World, tree: Tree) -> None:
    path, body = {"account_id": tree.account.account}, {"approve_data_removal": True}
    world.call("accounts.remove_account", tree.users[tree.partner], path=path, body=body)
    assert activate(world, tree, tree.task_id).code == "removal_pending"


def test_1_to_40_ids_are_taken(world: World, tree: Tree) -> None:
    path = {"account_id": tree.account.account}
    for task_ids in ([], None, "tsk", [1], [""], ["tsk"] * 41):
        body = {"task_ids": task_ids}
        answer = world.call("tasks.activate_tasks", tree.users[tree.account], path=path, body=body)
        assert (answer.status, answer.code) == (400, "invalid"), task_ids
