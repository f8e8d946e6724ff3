"""GET /v1/accounts/{account_id}/tasks

The account's backup tasks by name, those being deleted included.
"""

from portal.accounts.listing import folded
from portal.accounts.records import get_account
from portal.operation import Call, operation
from portal.paging import Page, PageQuery
from portal.permissions import Permission
from portal.tasks import records, views


@operation(Permission.ACCOUNT_TASKS_MANAGE)
def handler(call: Call, query: PageQuery) -> Page[views.Task]:
    account = get_account(call.scope, call.path["account_id"])
    tasks = records.list_tasks(call.scope, account.node)
    return call.page(tasks, query, key=lambda task: (folded(task.name), task.task_id), show=views.task)
