"""POST /v1/auth/sign-in

Signs in with e-mail address and password and answers an access token, good for 15 minutes, and a refresh
token. Whether the address is unknown, the password wrong or the address not confirmed yet, the answer is the
same, in the same time. Failed attempts are audited as well.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal import ids
from portal.identity import actions, passwords, records, rules, views
from portal.journal import Activity, Entry
from portal.operation import Call, public_operation
from portal.scope import Caller
from portal.table import Put, Update
from portal.tree import VENDOR, Node


class Credentials(BaseModel, extra="forbid"):
    email: Annotated[str, Field(min_length=1, max_length=254)]
    password: Annotated[str, Field(min_length=1, max_length=passwords.LONGEST)]


@public_operation(because="Whoever signs in has no token yet.")
def handler(call: Call, body: Credentials) -> views.Tokens:
    owner = records.find_email_owner(body.email)
    home, user_id = (Node.parse(owner.path), owner.user_id) if owner else (VENDOR, ids.new("usr", call.now))
    user = records.find_user(home, user_id)
    known = passwords.matches(body.password, rules.password_hash_of(user))
    completed = known and user is not None and actions.portal_stands(user)
    description = rules.sign_in_description(
        completed=completed, user_agent=call.user_agent, address=call.address
    )
    if user is None:
        call.commit_now(Put(actions.failed_sign_in(body.email, description, call.now)))
        raise rules.InvalidCredentials
    by = Caller(kind="user", user_id=user.user_id, email=user.email, home=home, portal=home)
    if not completed:
        call.commit_now(audit=[Entry(Activity.SIGN_IN, home, description, completed=False)], by=by)
        raise rules.InvalidCredentials
    opened = actions.open_session(user, home, at=call.now, address=call.address, user_agent=call.user_agent)
    call.commit(*opened.writes, audit=[Entry(Activity.SIGN_IN, home, description)], by=by)
    if passwords.is_outdated(user.password_hash):
        call.commit(Update(user, rules.rehashed(passwords.hashed(body.password))))
    return opened.tokens
