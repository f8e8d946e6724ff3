"""The simulated engine, played against the handlers in this process."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from jsonschema import Draft202012Validator

from local.engine import Engine, Memory, Portal, Refused
from local.engine_schemas import events_schema
from portal.settings import settings
from tests.builders import a_backup_task, the_account
from tests.engine_events import NOON
from tests.trees import Tree, plant
from tests.world import ENGINE, World

TOKEN = "value of engine-secret"


@dataclass
class Line:
    """HTTP from the engine to the operation, which can be cut."""

    world: World
    cut: bool = False
    sent: list[dict[str, Any]] = field(default_factory=list)

    def post(self, url: str, *, json: Any, headers: Mapping[str, str], timeout: float) -> "Reply":
        assert url == "https://api.example.com/live/v1/engine/events"
        assert headers == {"Authorization": f"Bearer {TOKEN}"}
        if self.cut:
            return Reply(503, "{}")
        Draft202012Validator(events_schema()).validate(json)
        self.sent += json["events"]
        answer = self.world.call("engine.report_events", ENGINE, body=json)
        return Reply(answer.status, answer.text)


@dataclass
class Reply:
    status_code: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(NOON)


@pytest.fixture
def line(world: World) -> Line:
    return Line(world)


@pytest.fixture
def engine(world: World, line: Line) -> Engine:
    portal = Portal(line, "https://api.example.com/live", TOKEN)
    return Engine(boto3.client("sqs"), settings.queue_url("EngineCommands"), portal, lambda: world.now)


def play(world: World, engine: Engine) -> int:
    world.stream("notifications.deliver_outbox")
    return engine.drain()


def shown(world: World, tree: Tree, task_id: str) -> Any:
    path = {"account_id": tree.account.account, "task_id": task_id}
    return world.call("tasks.get_task", tree.users[tree.account], path=path).json


def entities(world: World, tree: Tree, task_id: str) -> list[dict[str, Any]]:
    path = {"account_id": tree.account.account, "task_id": task_id}
    listed = world.call(
        "tasks.list_task_entities", tree.users[tree.account], path=path, query={"limit": "100"}
    )
    items: list[dict[str, Any]] = listed.json["items"]
    return items


def test_activating_a_task_leads_to_entities_a_run_and_a_size(
    world: World, tree: Tree, engine: Engine
) -> None:
    task_id = a_backup_task(world, tree.account)
    assert play(world, engine) == 1
    task, found = shown(world, tree, task_id), entities(world, tree, task_id)
    assert 3 <= len(found) <= 12
    assert {each["kind"] for each in found} == {"mailbox"}
    assert task["size_bytes"] == sum(each["size_bytes"] for each in found) > 0
    assert task["last_run"]["status"] == "success"
    account = the_account(tree.account)
    assert (account.size_bytes, account.backup_status) == (task["size_bytes"], "successful")


def test_only_chosen_entities_are_backed_up(world: World, tree: Tree, engine: Engine) -> None:
    protect = {"scope": "selected", "entity_ids": ["anna@example.com", "boris@example.com"]}
    task_id = a_backup_task(world, tree.account, protect=protect)
    play(world, engine)
    assert [each["entity_id"] for each in entities(world, tree, task_id)] == protect["entity_ids"]
    path = {"account_id": tree.account.account, "task_id": task_id}
    fewer = {"protect": {"scope": "selected", "entity_ids": ["anna@example.com"]}}
    world.call("tasks.change_task", tree.users[tree.account], path=path, body=fewer)
    world.advance(minutes=1)
    play(world, engine)
    assert [each["status"] for each in entities(world, tree, task_id)] == ["active", "inactive"]


def test_an_active_task_runs_once_a_day_and_a_paused_one_does_not(
    world: World, tree: Tree, engine: Engine
) -> None:
    task_id = a_backup_task(world, tree.account)
    play(world, engine)
    assert engine.back_up_what_is_due() == 0
    for _ in range(3):
        world.advance(days=1)
        assert engine.back_up_what_is_due() == 1
    path = {"account_id": tree.account.account}
    runs = world.call("tasks.list_task_runs", tree.users[tree.account], path=path | {"task_id": task_id}).json
    assert runs["total"] == 4
    world.call("tasks.pause_tasks", tree.users[tree.account], path=path, body={"task_ids": [task_id]})
    play(world, engine)
    world.advance(days=1)
    assert engine.back_up_what_is_due() == 0


def test_a_deleted_task_is_confirmed_and_gone(world: World, tree: Tree, engine: Engine) -> None:
    task_id = a_backup_task(world, tree.account)
    play(world, engine)
    path = {"account_id": tree.account.account, "task_id": task_id}
    world.call("tasks.delete_task", tree.users[tree.account], path=path)
    play(world, engine)
    assert world.call("tasks.get_task", tree.users[tree.account], path=path).status == 404


def test_a_removed_accounts_purge_is_confirmed(world: World, tree: Tree, engine: Engine) -> None:
    a_backup_task(world, tree.account)
    play(world, engine)
    path, body = {"account_id": tree.account.account}, {"approve_data_removal": True}
    world.call("accounts.remove_account", tree.users[tree.partner], path=path, body=body)
    play(world, engine)
    assert the_account(tree.account).purged_at == world.now
    world.advance(days=1)
    assert engine.back_up_what_is_due() == 0


def test_what_could_not_be_reported_is_done_again(
    world: World, tree: Tree, engine: Engine, line: Line
) -> None:
    task_id = a_backup_task(world, tree.account)
    line.cut = True
    with pytest.raises(Refused):
        play(world, engine)
    assert shown(world, tree, task_id)["entity_count"] == 0
    line.cut = False
    world.advance(minutes=1)
    assert play(world, engine) == 1
    assert shown(world, tree, task_id)["entity_count"] > 0


def test_a_stale_or_repeated_command_is_not_carried_out(
    world: World, tree: Tree, engine: Engine, line: Line
) -> None:
    task_id = a_backup_task(world, tree.account)
    path, body = {"account_id": tree.account.account}, {"task_ids": [task_id]}
    world.call("tasks.pause_tasks", tree.users[tree.account], path=path, body=body)
    world.stream("notifications.deliver_outbox")
    activate, pause = world.messages("EngineCommands")
    for command in (pause, activate, pause):
        engine.carry_out(command)
    assert line.sent == []
    assert engine.back_up_what_is_due() == 0


def test_what_the_portal_does_not_know_is_forgotten(world: World, tree: Tree, engine: Engine) -> None:
    engine.carry_out(
        {
            "command": "task.activate",
            "distributor_id": "dst_1",
            "partner_id": "prt_1",
            "account_id": "acc_unknown",
            "task_id": "tsk_unknown",
            "revision": 1,
            "service": "box",
            "name": "Files",
            "protect": {"scope": "all"},
            "frequency": "daily",
        }
    )
    assert engine.memory.tasks == {}


def test_a_new_engine_remembers_and_makes_up_the_same(
    world: World, tree: Tree, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "engine.json"
    engine.memory = Memory.of(file)
    task_id = a_backup_task(world, tree.account)
    play(world, engine)
    before = [each["name"] for each in entities(world, tree, task_id)]
    again = Engine(engine.queue, engine.queue_url, engine.portal, engine.now, Memory.of(file))
    world.advance(days=1)
    assert again.back_up_what_is_due() == 1
    assert [each["name"] for each in entities(world, tree, task_id)] == before
    assert Memory.of(file).tasks[task_id].runs == 2
