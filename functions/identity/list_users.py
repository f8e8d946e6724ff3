"""GET /v1/users

The users of the portal.
"""

from portal.identity import records, user_listing, user_views
from portal.operation import ANYBODY, Call, operation
from portal.paging import Page
from portal.permissions import Permission


@operation(Permission.USERS_MANAGE, portals=ANYBODY)
def handler(call: Call, query: user_listing.UsersQuery) -> Page[user_views.UserRow]:
    users = records.list_users(call.scope, call.caller.portal)
    return call.page(
        (user for user in users if user_listing.admits(query, user)),
        query,
        key=user_listing.sort_key(query),
        show=user_views.row,
        descending=query.descending,
    )
