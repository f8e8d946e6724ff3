"""GET /v1/accounts/{account_id}/tasks/{task_id}

One backup task of the account.
"""

from portal.accounts.records import get_account
from portal.operation import Call, operation
from portal.permissions import Permission
from portal.tasks import records, views


@operation(Permission.ACCOUNT_TASKS_MANAGE)
def handler(call: Call) -> views.Task:
    account = get_account(call.scope, call.path["account_id"])
    return views.task(records.get_task(call.scope, account.node, call.path["task_id"]))
