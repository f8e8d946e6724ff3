"""GET /v1/accounts/{account_id}/tasks/{task_id}/entities

What a backup task protects or protected: mailboxes, drives, sites, users, by the engine's id.
"""

from portal.accounts.records import get_account
from portal.operation import Call, operation
from portal.paging import Page, PageQuery
from portal.permissions import Permission
from portal.tasks import records, views


@operation(Permission.ACCOUNT_TASKS_MANAGE)
def handler(call: Call, query: PageQuery) -> Page[views.Entity]:
    account = get_account(call.scope, call.path["account_id"])
    task = records.get_task(call.scope, account.node, call.path["task_id"])
    return call.page_through(
        lambda after, limit: records.list_entities(
            call.scope, account.node, task.task_id, after=after, limit=limit
        ),
        query,
        key=lambda entity: entity.sk,
        show=lambda entity: views.entity(entity, task),
        total=int(task.entity_count),
    )
