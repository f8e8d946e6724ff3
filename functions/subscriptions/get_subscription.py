"""GET /v1/accounts/{account_id}/subscription

An account's trial or subscription, and when it renews.
"""

from portal.accounts.records import get_account
from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission
from portal.subscriptions import views


@operation(Permission.DASHBOARD_VIEW, portals=RESELLERS)
def handler(call: Call) -> views.Subscription:
    return views.subscription(get_account(call.scope, call.path["account_id"]), call.now)
