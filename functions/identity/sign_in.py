"""POST /v1/auth/sign-in

Signs in with e-mail address and password. Answers an access token, good for 15 minutes, and a refresh token; or a
challenge, where more is asked: a code of the authenticator app (`totp`), a new password in the place of an expired one
(`password_expired`), or to set up an authenticator app, because the portal demands it (`enrol_totp`). Whether the
address is unknown, the password wrong or the address not confirmed yet, the answer is the same, in the same time. Failed
attempts are audited as well, and so is a right password after which more is asked; too many are refused for a while.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal import ids
from portal.errors import AccessDenied
from portal.identity import actions, challenges, ip_restrictions, passwords, records, rules, throttle, views
from portal.journal import Activity, Entry
from portal.operation import Call, public_operation
from portal.table import Put, Update
from portal.tree import VENDOR, Node


class Credentials(BaseModel, extra="forbid"):
    email: Annotated[str, Field(min_length=1, max_length=254)]
    password: Annotated[str, Field(min_length=1, max_length=passwords.LONGEST)]


@public_operation(because="Whoever signs in has no token yet.")
def handler(call: Call, body: Credentials) -> views.Tokens | views.Challenge:
    throttle.attempt_from("sign-in", body.email, call.origin)
    owner = records.find_email_owner(body.email)
    home, user_id = (
        (Node.parse(owner.path), owner.user_id)
        if owner and owner.user_id
        else (VENDOR, ids.new("usr", call.now))
    )
    found = actions.candidate(home, user_id)
    user, credentials = found.user, found.credentials
    known = passwords.matches(body.password, rules.password_hash_of(user, credentials))
    if user is None or credentials is None or not known or not found.stands:
        _refuse(call, body, found)
        raise rules.InvalidCredentials
    if not ip_restrictions.allowed(found.security, call.address):
        _refuse(call, body, found)
        raise AccessDenied
    throttle.succeeded_from("sign-in", body.email, call.origin)
    passed = challenges.go_on(found, user, call.origin, "password")
    described = _described(call, completed=True, asked=passed.asked)
    entry = Entry(Activity.SIGN_IN, home, described)
    call.commit(*passed.writes, audit=[entry], by=actions.acting(user))
    if passwords.is_outdated(credentials.password_hash or ""):
        call.commit(Update(credentials, rules.rehashed(passwords.hashed(body.password))))
    return passed.answer


def _refuse(call: Call, body: Credentials, found: actions.Candidate) -> None:
    """Write down a failed sign-in: one item, wherever there is somebody whom it is about."""
    described = _described(call, completed=False)
    if found.user is None:
        return call.commit_now(Put(actions.failed_sign_in(records.kept(body.email), described, call.now)))
    entry = Entry(Activity.SIGN_IN, found.user.node, described, completed=False)
    return call.commit_now(audit=[entry], by=actions.acting(found.user))


def _described(call: Call, *, completed: bool, asked: str = "") -> str:
    return rules.sign_in_description(
        completed=completed, user_agent=call.user_agent, address=call.address, asked=asked
    )
