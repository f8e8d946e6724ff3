"""PATCH /v1/users/{user_id}

Changes what is given and leaves the rest. A new e-mail address counts once it is confirmed by the link that is mailed
there; that of a user who has not confirmed any yet is replaced at once, with a new invitation. Permissions and states
work on the user's next request. Nobody gives more than they hold, changes somebody who holds more, or locks themselves
out, and the last administrator stays one. A new role, list, state or way to sign in voids an address that is not confirmed
yet. API keys change no e-mail address, no way to sign in, and make nobody an administrator.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from portal.fields import Name
from portal.identity import changing, managing, user_views
from portal.identity.emails import Email
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission


class UserChanges(BaseModel, extra="forbid"):
    email: Email = ""
    name: Name = ""
    sign_in_type: user_views.SignInType = "email"
    role: user_views.Role = "custom"
    permissions: Annotated[list[Permission], Field(max_length=100)] = []
    accessible_accounts: user_views.AccessibleAccounts = "all"
    state: Literal["active", "disabled"] = "active"
    two_factor: Annotated[
        Literal[False],
        Field(
            description="Turns it off, for a user who has lost the authenticator app and the recovery codes."
        ),
    ] = False


@operation(Permission.USERS_MANAGE, portals=ANYBODY)
def handler(call: Call, body: UserChanges) -> user_views.User:
    user, accessible = managing.get_for_change(call)
    change = changing.decided(call, user, accessible, body.model_dump(exclude_unset=True))
    if change.writes:
        call.commit(*change.writes, audit=change.audit, send=change.messages)
    return user_views.user(user, change.accessible, call.scope.accessible)
