"""What the backup engine sends, and a way to send it."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from portal.tree import Node
from tests.world import ENGINE, World

NOON = datetime(2023, 1, 10, 12, tzinfo=UTC)
"""When a test's world begins."""

_numbers = count(1)


def on(day: int, hour: int = 10, *, month: int = 1) -> str:
    """An instant of 2023 as the engine sends it."""
    return datetime(2023, month, day, hour, tzinfo=UTC).isoformat()


def event(account: Node, what: str, occurred_at: str, **more: Any) -> dict[str, Any]:
    """An event with an id of its own."""
    return {
        "event_id": f"evt-{next(_numbers):06d}",
        "type": what,
        "occurred_at": occurred_at,
        "account_id": account.account,
        **more,
    }


def entity(entity_id: str = "m1", **differing: Any) -> dict[str, Any]:
    """A licensed mailbox with 1,000 bytes."""
    usual = {
        "name": f"Mailbox {entity_id}",
        "kind": "mailbox",
        "status": "active",
        "licensed": True,
        "bytes": 1000,
    }
    return {"entity_id": entity_id, **usual, **differing}


def changed(account: Node, task_id: str, occurred_at: str, *entities: dict[str, Any]) -> dict[str, Any]:
    """Entities as they are from that instant on; one mailbox, if none are given."""
    return event(
        account, "entities.changed", occurred_at, task_id=task_id, entities=list(entities or (entity(),))
    )


def backup(account: Node, task_id: str, at: str, **differing: Any) -> dict[str, Any]:
    """A successful run of no duration."""
    made = event(account, "backup.completed", at, task_id=task_id)
    run = {
        "run_id": f"run-{made['event_id']}",
        "started_at": at,
        "finished_at": at,
        "status": "success",
        "bytes": 10,
        "errors": [],
    }
    return made | run | differing


def report(world: World, *events: Any) -> list[dict[str, Any]]:
    """Send events in one call; what became of each."""
    answer = world.call("engine.report_events", ENGINE, body={"events": list(events)})
    assert answer.status == 200, answer.text
    results: list[dict[str, Any]] = answer.json["results"]
    return results


def commands(world: World) -> list[dict[str, Any]]:
    """What the engine was told since the last time."""
    world.stream("notifications.deliver_outbox")
    return world.messages("EngineCommands")


def outcomes(world: World, *events: Any) -> list[str]:
    """Send events in one call; for each its result, or why it was refused."""
    return [result.get("code", result["result"]) for result in report(world, *events)]
