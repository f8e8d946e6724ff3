"""GET /v1/security/policy

What this portal asks of all of its users: after how many days passwords expire (null: never), and whether signing in
takes two-factor authentication.
"""

from portal.identity import records, views
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission


@operation(Permission.SECURITY_MANAGE, portals=ANYBODY)
def handler(call: Call) -> views.SecurityPolicy:
    return views.policy(records.find_security(call.caller.portal))
