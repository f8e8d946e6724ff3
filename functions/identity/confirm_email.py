"""POST /v1/auth/confirm-email

Confirms an e-mail address with the token of the link that was mailed. An invited user can sign in from now on, and
chooses the password here unless it signs in with Google or Microsoft. An address that is to take the place of another
does so. The token is good once and for 24 hours; opening the link changes nothing.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal.identity import actions, email_changes, password_changes, rules
from portal.journal import Activity, Entry
from portal.operation import Call, public_operation
from portal.table import Delete, Update


class Confirmation(BaseModel, extra="forbid"):
    token: Annotated[str, Field(min_length=1, max_length=100)]
    password: password_changes.Password | None = None


@public_operation(because="The link in the mail is what counts; there is no password to sign in with yet.")
def handler(call: Call, body: Confirmation) -> None:
    if changed := email_changes.tenant_confirmed(body.token, call.now):
        call.commit(*changed.writes, audit=changed.audit, send=changed.messages, by=changed.by)
        return
    link, user = actions.followed(body.token, ("invitation", "email"), call.origin)
    chosen, by = password_changes.first(link, user, body.password, call.now), actions.acting(user)
    if link.purpose == "email":
        changed = email_changes.confirmed(link, user, call.now)
        call.commit(*changed.writes, audit=changed.audit, send=changed.messages, by=changed.by)
        return
    entry = Entry(Activity.USER_MANAGEMENT, user.node, f"Confirmed e-mail address {user.email}")
    call.commit(Update(user, rules.confirm()), *chosen, Delete(link), audit=[entry], by=by)
