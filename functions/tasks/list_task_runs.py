"""GET /v1/accounts/{account_id}/tasks/{task_id}/runs

A backup task's runs, latest first.
"""

from portal.accounts.records import get_account
from portal.operation import Call, operation
from portal.paging import Page, PageQuery
from portal.permissions import Permission
from portal.tasks import records, views


@operation(Permission.ACCOUNT_TASKS_MANAGE)
def handler(call: Call, query: PageQuery) -> Page[views.Run]:
    account = get_account(call.scope, call.path["account_id"])
    task = records.get_task(call.scope, account.node, call.path["task_id"])
    return call.page_through(
        lambda before, limit: records.list_runs(
            call.scope, account.node, task.task_id, before=before, limit=limit
        ),
        query,
        key=lambda run: run.sk,
        show=views.run,
        total=int(task.run_count),
    )
