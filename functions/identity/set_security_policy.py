"""PUT /v1/security/policy

Sets what this portal asks of all of its users. Passwords expire so many days after they were set (null: never): warned
of by mail 14, 7 and 1 days before; an expired one can only be changed. Required two-factor authentication works at once:
users without it are asked to set it up when they sign in next, and requests of their present sessions are refused. You
can require it only when you have signed in with a code yourself.
"""

from typing import Annotated

from pydantic import BaseModel, Field, StrictBool, StrictInt

from portal.identity import actions, records, rules, sessions, views
from portal.journal import Activity, Entry
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission


class NewSecurityPolicy(BaseModel, extra="forbid"):
    password_expires_after_days: Annotated[StrictInt, Field(ge=1, le=730)] | None
    two_factor_required: StrictBool


@operation(Permission.SECURITY_MANAGE, portals=ANYBODY, people_only=True)
def handler(call: Call, body: NewSecurityPolicy) -> views.SecurityPolicy:
    portal = call.caller.portal
    security, signed_in = records.find_security(portal), sessions.signed_in(call.caller)
    user = actions.own_user(call.caller)
    change = rules.set_policy(
        security,
        password_expires_after_days=body.password_expires_after_days,
        two_factor_required=body.two_factor_required,
        has_second_factor=bool(user.two_factor and signed_in and signed_in.second_factor),
        now=call.now,
    )
    if change:
        entry = Entry(Activity.SECURITY_SETTINGS_CHANGED, portal, rules.policy_description(change))
        call.commit(actions.security_of(portal, security, change), audit=[entry])
    return views.SecurityPolicy(**body.model_dump())
