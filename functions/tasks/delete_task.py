"""DELETE /v1/accounts/{account_id}/tasks/{task_id}

Ends a backup task: from now on nothing it protected is billed, and the engine is told to delete what was
backed up. The task is shown as being deleted until the engine has confirmed.
"""

from portal.accounts.records import get_account
from portal.billing.records import get_usage
from portal.engine import commands
from portal.operation import Call, operation
from portal.permissions import Permission
from portal.table import Update
from portal.tasks import actions, records, rules, views


@operation(Permission.ACCOUNT_TASKS_MANAGE)
def handler(call: Call) -> views.Task:
    account = get_account(call.scope, call.path["account_id"])
    rules.check_kept(account)
    task = records.get_task(call.scope, account.node, call.path["task_id"])
    change = rules.delete(task, call.now)
    usage = get_usage(call.scope, account.node)
    others = [each for each in records.list_tasks(call.scope, account.node) if each.task_id != task.task_id]
    call.commit(
        Update(task, change),
        Update(account, rules.without(account, task, others)),
        Update(usage, rules.recount_from(usage, call.now.date()) | rules.tidy_later(usage, call.now)),
        audit=actions.audited(call, account, f"Deleted backup task {task.name}"),
        send=[commands.delete_task(account.node, task)],
    )
    return views.task(task)
