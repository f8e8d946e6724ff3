"""POST /v1/users/{user_id}/confirmation

Mails another link to a user who has not confirmed the e-mail address yet; the earlier ones are void.
"""

from portal.identity import actions, managing, user_rules
from portal.journal import Activity, Entry
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission
from portal.table import Update


@operation(Permission.USERS_MANAGE, portals=ANYBODY)
def handler(call: Call) -> None:
    user, _ = managing.get_for_change(call)
    change = user_rules.confirmation_again(user)
    managing.count_mail(call, user.email, user_id=user.user_id)
    entry = Entry(Activity.USER_MANAGEMENT, user.node, f"Sent {user.email} another invitation")
    call.commit(Update(user, change), audit=[entry], send=[actions.invitation_mail(user)])
