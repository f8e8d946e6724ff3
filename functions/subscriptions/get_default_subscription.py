"""GET /v1/settings/default-subscription

How new accounts of this portal begin.
"""

from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission
from portal.subscriptions import records, views


@operation(Permission.SETTINGS_VIEW, portals=RESELLERS)
def handler(call: Call) -> views.ChosenDefault:
    return views.chosen_default(records.get_default(call.scope, call.caller.portal))
