"""GET /v1/users/{user_id}

One user of the portal, with the partners and accounts that it may see.
"""

from portal.identity import managing, user_views
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission


@operation(Permission.USERS_MANAGE, portals=ANYBODY)
def handler(call: Call) -> user_views.User:
    user, accessible = managing.get_user(call.scope, call.path["user_id"])
    return user_views.user(user, accessible, call.scope.accessible)
