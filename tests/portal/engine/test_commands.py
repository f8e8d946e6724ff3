from typing import Any

import pytest
from pydantic import ValidationError

from portal.engine import commands
from portal.tasks.records import Task
from portal.tree import DIRECT, Node

NODE = Node("dst_1", DIRECT, "acc_1")
WHERE = {"distributor_id": "dst_1", "partner_id": "direct", "account_id": "acc_1"}


def task(**values: Any) -> Task:
    usual = {
        "task_id": "tsk_1",
        "service": "box",
        "name": "Files",
        "protect": {"scope": "selected", "entity_ids": ["u1"]},
        "frequency": "daily",
    }
    return Task("pk", "sk", **usual | values)


def test_activating_tells_the_whole_of_what_is_wanted() -> None:
    message = commands.activate_task(NODE, task(version=4))
    assert (message.queue, message.node) == ("EngineCommands", NODE)
    assert message.body == {
        **WHERE,
        "command": "task.activate",
        "task_id": "tsk_1",
        "revision": 5,
        "service": "box",
        "name": "Files",
        "protect": {"scope": "selected", "entity_ids": ["u1"]},
        "frequency": "daily",
    }


def test_pausing_and_deleting_name_the_task() -> None:
    told = {**WHERE, "task_id": "tsk_1", "revision": 5}
    assert commands.pause_task(NODE, task(version=4)).body == {**told, "command": "task.pause"}
    assert commands.delete_task(NODE, task(version=4)).body == {**told, "command": "task.delete"}


def test_the_revision_rises_with_every_write_of_the_task() -> None:
    tasks = [task(), task(version=1), task(version=2)]
    assert [commands.pause_task(NODE, each).body["revision"] for each in tasks] == [1, 2, 3]


def test_purging_names_the_account() -> None:
    assert commands.purge_account(NODE).body == {**WHERE, "command": "account.purge"}


def test_what_the_engine_would_not_understand_is_not_sent() -> None:
    with pytest.raises(ValidationError):
        commands.activate_task(NODE, task(service="fax"))
