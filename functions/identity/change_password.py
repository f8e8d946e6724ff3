"""PUT /v1/me/password

Changes your password, for whoever signs in with one. All your other sessions end with it, and you are mailed about
it. Too many wrong attempts at the present password have to wait.
"""

from typing import Annotated

from pydantic import Field

from portal.errors import FieldError, Invalid
from portal.identity import actions, password_changes, passwords, records, rules, sessions, throttle
from portal.journal import Activity, Entry
from portal.operation import ANYBODY, Call, operation


class PasswordChange(password_changes.NewPassword):
    current: Annotated[str, Field(min_length=1, max_length=passwords.LONGEST)]


class WrongPassword(Invalid):
    detail = "This is not your present password."


@operation(None, portals=ANYBODY, people_only=True)
def handler(call: Call, body: PasswordChange) -> None:
    user = actions.own_user(call.caller)
    by = actions.acting(user)
    if user.sign_in_type != "email":
        raise password_changes.NoPassword
    throttle.attempt_code(user.user_id, call.now, what="password")
    password_hash = rules.password_hash_of(user, records.find_credentials(user.user_id))
    if not passwords.matches(body.current, password_hash):
        entry = Entry(Activity.SECURITY_SETTINGS_CHANGED, user.node, "Changed the password", completed=False)
        call.commit_now(audit=[entry], by=by)
        raise WrongPassword(errors=(FieldError("current", WrongPassword.detail),))
    throttle.succeeded_code(user.user_id, what="password")
    password_changes.check(body, email=user.email, password_hash=password_hash)
    changed = password_changes.change(user, body.new, call.origin, keep=sessions.signed_in(call.caller))
    entry = Entry(Activity.SECURITY_SETTINGS_CHANGED, user.node, "Changed the password")
    call.commit(*changed.writes, audit=[entry], send=changed.messages, by=by)
