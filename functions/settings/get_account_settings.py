"""GET /v1/settings/account

What the portal's company is called and how it is reached.
"""

from portal.operation import Call, operation
from portal.permissions import Permission
from portal.tenants import views
from portal.tenants.actions import get_tenant


@operation(Permission.SETTINGS_VIEW)
def handler(call: Call) -> views.AccountSettings:
    return views.account_settings(get_tenant(call.scope, call.caller.portal))
