"""How backup tasks, their runs and entities look from outside."""

from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime, BaseModel

from portal.services import Service
from portal.tasks import records
from portal.tasks.protection import Protection
from portal.tasks.rules import Outcome


class LastRun(BaseModel):
    run_id: str
    finished_at: AwareDatetime
    status: Outcome


class Task(BaseModel):
    """A backup task."""

    task_id: str
    service: Service
    name: str
    protect: Protection
    frequency: Literal["daily", "high"]
    state: Literal["paused", "active", "deleting"]
    last_run: LastRun | None
    entity_count: int
    billable_count: int
    """Of its entities, those that are active or archived, unlicensed Exchange mailboxes left out."""
    size_bytes: int
    created_at: AwareDatetime


class Run(BaseModel):
    """One run of a task."""

    run_id: str
    started_at: AwareDatetime
    finished_at: AwareDatetime
    status: Outcome
    bytes_transferred: int
    errors: list[str]


class Entity(BaseModel):
    """One thing that a task protects. `licensed` is told of Exchange mailboxes only."""

    entity_id: str
    name: str
    kind: str
    status: Literal["active", "inactive", "archived"]
    licensed: bool | None
    size_bytes: int
    last_backup_at: AwareDatetime | None


class SwitchedTask(BaseModel):
    """What became of one task."""

    task_id: str
    result: Literal[
        "activated", "paused", "already_active", "already_paused", "task_being_deleted", "not_found"
    ]


class Switched(BaseModel):
    results: list[SwitchedTask]


def task(stored: records.Task) -> Task:
    return Task.model_validate(
        {
            "task_id": stored.task_id,
            "service": stored.service,
            "name": stored.name,
            "protect": stored.protect,
            "frequency": stored.frequency,
            "state": stored.state,
            "last_run": _last_run(stored),
            "entity_count": int(stored.entity_count),
            "billable_count": int(stored.billable_count),
            "size_bytes": int(stored.size_bytes),
            "created_at": stored.created_at,
        }
    )


def run(stored: records.Run) -> Run:
    return Run.model_validate(
        {
            "run_id": stored.run_id,
            "started_at": stored.started_at,
            "finished_at": stored.finished_at,
            "status": stored.status,
            "bytes_transferred": int(stored.bytes_transferred),
            "errors": stored.errors,
        }
    )


def entity(stored: records.Entity, of: records.Task) -> Entity:
    """An entity of a task that is being deleted is no longer protected, whatever it was."""
    return Entity.model_validate(
        {
            "entity_id": stored.entity_id,
            "name": stored.name,
            "kind": stored.entity_kind,
            "status": stored.status if of.is_live else "inactive",
            "licensed": stored.licensed,
            "size_bytes": int(stored.size_bytes),
            "last_backup_at": stored.last_backup_at,
        }
    )


def switched(results: Mapping[str, str]) -> Switched:
    return Switched.model_validate(
        {"results": [{"task_id": task_id, "result": result} for task_id, result in results.items()]}
    )


def _last_run(stored: records.Task) -> dict[str, object] | None:
    if stored.last_run_id is None:
        return None
    return {"run_id": stored.last_run_id, "finished_at": stored.last_run_at, "status": stored.last_run_status}
