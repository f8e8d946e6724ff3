"""PATCH /v1/accounts/{account_id}/tasks/{task_id}

Changes a backup task's name, what it protects, or how often it runs. For an active task the engine is told at
once.
"""

from typing import Literal

from pydantic import BaseModel

from portal.accounts.records import get_account
from portal.engine import commands
from portal.operation import Call, operation
from portal.permissions import Permission
from portal.table import Update
from portal.tasks import actions, records, rules, views
from portal.tasks.protection import Everything, Protection


class TaskChange(BaseModel, extra="forbid"):
    """What is left out stays as it is."""

    name: actions.TaskName = ""
    protect: Protection = Everything()
    frequency: Literal["daily", "high"] = "daily"


@operation(Permission.ACCOUNT_TASKS_MANAGE)
def handler(call: Call, body: TaskChange) -> views.Task:
    account = get_account(call.scope, call.path["account_id"])
    rules.check_kept(account)
    task = records.get_task(call.scope, account.node, call.path["task_id"])
    given = body.model_dump(mode="json", include=body.model_fields_set)
    rules.check_frequency(account, given.get("frequency", "daily"))
    change = rules.change(task, given)
    if change:
        what = f"Changed {', '.join(sorted(change))} of backup task {task.name}"
        call.commit(Update(task, change), audit=actions.audited(call, account, what))
        if task.state == "active" and rules.is_backing_up(account, call.now):
            call.commit(send=[commands.activate_task(account.node, task)])
    return views.task(task)
