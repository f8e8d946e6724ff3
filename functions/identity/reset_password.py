"""POST /v1/auth/password/reset

Sets a new password with the token of the link that was mailed, good once and for 24 hours; opening the link changes
nothing. All sessions of the user end, and the user is mailed about it. It signs nobody in: two-factor authentication
stays on, and codes that were guessed wrong before are forgotten.
"""

from typing import Annotated

from pydantic import Field

from portal.identity import actions, password_changes, records, rules, throttle
from portal.journal import Activity, Entry
from portal.operation import Call, public_operation
from portal.table import Delete


class Reset(password_changes.NewPassword):
    token: Annotated[str, Field(min_length=1, max_length=100)]


@public_operation(because="The link in the mail is what counts; the password is forgotten.")
def handler(call: Call, body: Reset) -> None:
    link, user = actions.followed(body.token, ("password",), call.origin)
    password_hash = rules.password_hash_of(user, records.find_credentials(user.user_id))
    password_changes.check(body, email=user.email, password_hash=password_hash)
    changed = password_changes.change(user, body.new, call.origin)
    entry = Entry(Activity.SECURITY_SETTINGS_CHANGED, user.node, "Reset the password by a mailed link")
    by = actions.acting(user)
    throttle.clear_codes_after_reset(user.user_id, call.now)
    call.commit(*changed.writes, Delete(link), audit=[entry], send=changed.messages, by=by)
