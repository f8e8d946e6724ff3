"""POST /v1/accounts/{account_id}/tasks/pause

Stops backing up these tasks, keeps what is backed up, and says for each what became of it. The account must
be on trial or subscribed.
"""

from portal.operation import Call, operation
from portal.permissions import Permission
from portal.tasks import actions, views


@operation(Permission.ACCOUNT_TASKS_MANAGE)
def handler(call: Call, body: actions.Chosen) -> views.Switched:
    return actions.pause(call, body)
