"""POST /v1/users

Adds a user to the portal and mails the link that confirms the address; until it is followed the user cannot sign in.
Nobody gives more than they may do and see themselves, and nobody mails strangers as often as they like.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal.access import relisted
from portal.fields import Name
from portal.identity import actions, managing, user_rules, user_views
from portal.identity.emails import Email
from portal.journal import Activity, Entry
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission


class NewUser(BaseModel, extra="forbid"):
    email: Email
    name: Name
    sign_in_type: user_views.SignInType = "email"
    role: user_views.Role
    permissions: Annotated[list[Permission], Field(max_length=100)] = []
    accessible_accounts: user_views.AccessibleAccounts = "all"


@operation(Permission.USERS_MANAGE, portals=ANYBODY, status=201)
def handler(call: Call, body: NewUser) -> user_views.User:
    user, accessible = managing.new_user(call, body.model_dump())
    invitation = actions.invited(user, call.now)
    entry = Entry(Activity.USER_MANAGEMENT, user.node, user_rules.described_new(user, accessible))
    lists = relisted(user.node, user.user_id, accessible)
    staying = managing.portal_stays(call)
    managing.count_mail(call, user.email)
    call.commit(*staying, *invitation.writes, *lists, audit=[entry], send=invitation.messages)
    return user_views.user(user, accessible, call.scope.accessible)
