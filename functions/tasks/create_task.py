"""POST /v1/accounts/{account_id}/tasks

Adds a backup task. It is paused until it is activated.
"""

from typing import Literal

from pydantic import BaseModel

from portal import ids, keys
from portal.accounts.records import get_account
from portal.operation import Call, operation
from portal.permissions import Permission
from portal.services import Service
from portal.table import Put, Update
from portal.tasks import actions, records, rules, views
from portal.tasks.protection import Everything, Protection


class NewTask(BaseModel, extra="forbid"):
    service: Service
    name: actions.TaskName
    protect: Protection = Everything()
    frequency: Literal["daily", "high"] = "daily"


@operation(Permission.ACCOUNT_TASKS_MANAGE, status=201)
def handler(call: Call, body: NewTask) -> views.Task:
    account = get_account(call.scope, call.path["account_id"])
    change = rules.add(account)
    rules.check_frequency(account, body.frequency)
    task_id = ids.new("tsk", call.now)
    task = records.Task(
        keys.node(account.node),
        keys.task(task_id),
        task_id=task_id,
        service=body.service.value,
        name=body.name,
        protect=body.protect.model_dump(mode="json"),
        frequency=body.frequency,
        state="paused",
        created_at=call.now,
    )
    created = actions.audited(call, account, f"Created backup task {task.name}")
    call.commit(Put(task), Update(account, change), audit=created)
    return views.task(task)
