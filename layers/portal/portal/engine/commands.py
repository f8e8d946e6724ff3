"""What the backup engine is told, through the queue `EngineCommands`.

The queue may deliver a command twice and out of order. So a command about a task tells the whole of what is
wanted and carries the task's `revision`, which rises with every command about it: one whose revision is not
higher than the last that was carried out is stale. Purging an account is final, however often it is asked
for.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter

from portal.journal import Message
from portal.services import Service
from portal.tasks.protection import Protection
from portal.tree import Node

if TYPE_CHECKING:
    from portal.tasks.records import Task

QUEUE = "EngineCommands"


class _Command(BaseModel, extra="forbid"):
    account_id: str
    distributor_id: str
    partner_id: str
    """`direct` for a distributor's direct account."""


class _TaskCommand(_Command):
    task_id: str
    revision: Annotated[int, Field(ge=1)]
    """Rises with every command about this task."""


class ActivateTask(_TaskCommand):
    """Back this up from now on, as told here; for a task that is active already, these are its new
    settings."""

    command: Literal["task.activate"] = "task.activate"
    service: Service
    name: str
    protect: Protection
    frequency: Literal["daily", "high"]


class PauseTask(_TaskCommand):
    """Stop backing this up and keep what is backed up."""

    command: Literal["task.pause"] = "task.pause"


class DeleteTask(_TaskCommand):
    """Stop, and delete what this task has backed up; then report `purge.completed` with the task's id."""

    command: Literal["task.delete"] = "task.delete"


class PurgeAccount(_Command):
    """Stop everything, and delete all of the account's data; then report `purge.completed` without a task's
    id."""

    command: Literal["account.purge"] = "account.purge"


Command = Annotated[ActivateTask | PauseTask | DeleteTask | PurgeAccount, Field(discriminator="command")]
COMMAND: TypeAdapter[ActivateTask | PauseTask | DeleteTask | PurgeAccount] = TypeAdapter(Command)


def activate_task(account: Node, task: "Task") -> Message:
    """To be committed together with the change to the task."""
    settings = {
        "service": task.service,
        "name": task.name,
        "protect": task.protect,
        "frequency": task.frequency,
    }
    return _message(account, ActivateTask, **_of_task(task), **settings)


def pause_task(account: Node, task: "Task") -> Message:
    """To be committed together with the change to the task."""
    return _message(account, PauseTask, **_of_task(task))


def delete_task(account: Node, task: "Task") -> Message:
    """To be committed together with the change to the task."""
    return _message(account, DeleteTask, **_of_task(task))


def purge_account(account: Node) -> Message:
    return _message(account, PurgeAccount)


def _of_task(task: "Task") -> dict[str, Any]:
    # The version that the task will have once this command's transaction is written.
    return {"task_id": task.task_id, "revision": int(task.version or 0) + 1}


def _message(account: Node, command: type[_Command], **what: Any) -> Message:
    told = command.model_validate(
        {
            "distributor_id": account.distributor,
            "partner_id": account.partner,
            "account_id": account.account,
            **what,
        }
    )
    return Message(QUEUE, account, told.model_dump(mode="json"))
