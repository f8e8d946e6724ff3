"""GET /v1/accounts/{account_id}

One account.
"""

from portal.accounts import actions, records, views
from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission


@operation(Permission.DASHBOARD_VIEW, portals=RESELLERS)
def handler(call: Call) -> views.Account:
    account = records.get_account(call.scope, call.path["account_id"])
    return views.account(account, call.now, actions.standing_of(call, account))
