"""DELETE /v1/users/{user_id}

Removes a user: its sessions and API keys end at once, and its e-mail address is free again, unless that is also the
address of the portal's own company. The last administrator stays, nobody removes themselves or somebody who holds more.
"""

from portal.identity import actions, managing, user_rules
from portal.journal import Activity, Entry
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission


@operation(Permission.USERS_MANAGE, portals=ANYBODY)
def handler(call: Call) -> None:
    user, _ = managing.get_for_change(call)
    if user.user_id == call.caller.user_id:
        raise user_rules.LocksYouOut
    staying = managing.administrator_stays(call, user)
    entry = Entry(Activity.USER_MANAGEMENT, user.node, f"Removed user {user.email}")
    released = actions.release_users(user.node, [user])
    call.commit(*staying, *released, audit=[entry], send=actions.forget(user.node, [user]))
