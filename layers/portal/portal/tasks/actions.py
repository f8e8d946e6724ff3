"""Sequences that several functions share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, StringConstraints

from portal.accounts.records import Account, get_account
from portal.change import Change
from portal.engine import commands
from portal.errors import PortalError
from portal.fields import VISIBLE
from portal.journal import Activity, Entry, Message
from portal.table import Update
from portal.tasks import records, rules, views

if TYPE_CHECKING:
    from portal.operation import Call

TaskName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$"),
    VISIBLE,
]
TaskId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Chosen(BaseModel, extra="forbid"):
    """Tasks of one account, by id."""

    task_ids: Annotated[list[TaskId], Field(min_length=1, max_length=rules.MOST_TASKS)]


def audited(call: "Call", account: Account, description: str) -> list[Entry]:
    """The audit entries of a change to an account's tasks: one in its portal, and one in that of whoever did it."""
    portals = dict.fromkeys((account.node, call.caller.portal))
    return [Entry(Activity.TASKS_CHANGED, each, description, account.email, account.node) for each in portals]


def activate(call: "Call", chosen: Chosen) -> views.Switched:
    return _switch(call, chosen, rules.activate, commands.activate_task, "Activated")


def pause(call: "Call", chosen: Chosen) -> views.Switched:
    return _switch(call, chosen, rules.pause, commands.pause_task, "Paused")


def _switch(
    call: "Call",
    chosen: Chosen,
    decide: Callable[[records.Task], Change],
    command: Callable[..., Message],
    done: str,
) -> views.Switched:
    """Switch the chosen tasks that can be, tell the engine, and say for each what became of it."""
    account = get_account(call.scope, call.path["account_id"])
    rules.check_backing_up(account, call.now)
    tasks = {task.task_id: task for task in records.list_tasks(call.scope, account.node)}
    results: dict[str, str] = {}
    switched: list[records.Task] = []
    for task_id in chosen.task_ids:
        if task_id in results:
            continue
        if task_id not in tasks:
            results[task_id] = "not_found"
            continue
        try:
            change = decide(tasks[task_id])
        except PortalError as refusal:
            results[task_id] = refusal.code()
        else:
            results[task_id] = done.lower()
            call.commit(Update(tasks[task_id], change), send=[command(account.node, tasks[task_id])])
            switched.append(tasks[task_id])
    if switched:
        names = ", ".join(task.name for task in switched)
        status = Change(backup_status=rules.backup_status(tasks.values()))
        call.commit(Update(account, status), audit=audited(call, account, f"{done} backup tasks: {names}"))
    return views.switched(results)
