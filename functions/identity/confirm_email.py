"""POST /v1/auth/confirm-email

Confirms an invited user's e-mail address with the token of the link that was mailed, and sets the password.
The token is good once and for 24 hours; opening the link changes nothing. The user can sign in from now on.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal.errors import Invalid
from portal.identity import passwords, records, rules, tokens
from portal.journal import Activity, Entry
from portal.operation import Call, fields, public_operation
from portal.scope import Caller
from portal.table import Delete, Update
from portal.tree import Node


class Confirmation(BaseModel, extra="forbid"):
    token: Annotated[str, Field(min_length=1, max_length=100)]
    password: Annotated[str, Field(min_length=passwords.SHORTEST, max_length=passwords.LONGEST)]


@public_operation(because="The link in the mail is what counts; there is no password to sign in with yet.")
def handler(call: Call, body: Confirmation) -> None:
    link = records.find_link(tokens.hashed(body.token))
    user = link and records.find_user(Node.parse(link.user_path), link.user_id)
    if not link or not user or not rules.is_good(link, user, call.now):
        raise rules.InvalidLink
    if weakness := passwords.weakness(body.password, email=user.email):
        raise Invalid(errors=fields(("password", weakness)))
    confirmed = rules.confirm(user, link, passwords.hashed(body.password), call.now)
    by = Caller(kind="user", user_id=user.user_id, email=user.email, home=user.node, portal=user.node)
    entry = Entry(Activity.USER_MANAGEMENT, user.node, f"Confirmed e-mail address {user.email}")
    call.commit(Update(user, confirmed), Delete(link), audit=[entry], by=by)
