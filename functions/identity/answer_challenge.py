"""POST /v1/auth/challenge

Answers what a sign-in still asks: a code of the authenticator app or one of the recovery codes (`totp`), a new password
(`password_expired`), or the first code of an app that was just set up (`enrol_totp`). After a sign-in with a provider,
the token alone goes on. Answers tokens, or the next challenge. A challenge is good for 10 minutes, one right answer and
five wrong ones, and ends when the password changes or the user is disabled.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal.errors import AccessDenied
from portal.identity import (
    actions,
    authenticators,
    challenges,
    ip_restrictions,
    passwords,
    rules,
    throttle,
    views,
)
from portal.identity.challenges import Pending
from portal.journal import Activity, Entry
from portal.operation import Call, public_operation
from portal.table import Delete


class ChallengeAnswer(BaseModel, extra="forbid"):
    challenge_token: Annotated[str, Field(min_length=1, max_length=200)]
    code: authenticators.Code = ""
    recovery_code: authenticators.RecoveryCode = ""
    new_password: Annotated[str, Field(min_length=passwords.SHORTEST, max_length=passwords.LONGEST)] = ""
    confirmation: Annotated[str, Field(max_length=passwords.LONGEST)] = ""


@public_operation(because="There is no token before the last step of signing in; the challenge's own counts.")
def handler(call: Call, body: ChallengeAnswer) -> views.Tokens | views.Challenge:
    pending = challenges.get(body.challenge_token, call.now)
    challenge, user, by = pending.challenge, pending.user, actions.acting(pending.user)
    if not ip_restrictions.allowed(pending.candidate.security, call.address):
        call.commit_now(Delete(challenge), audit=[_told(call, pending, completed=False)], by=by)
        raise AccessDenied
    sent = body.model_dump(exclude_unset=True, exclude={"challenge_token"})
    challenges.check_answers(challenge, sent)
    if challenge.step in challenges.WITH_CODE:
        throttle.attempt_code(user.user_id, call.now)
    given = challenges.Given(**sent)
    answered = challenges.answered(pending, given, call.origin)
    if answered is None:
        tried = authenticators.RECOVERY_CODE if given.recovery_code else authenticators.CODE
        entry = _told(call, pending, completed=False, second_factor=tried)
        call.commit_now(challenges.wrong(challenge), audit=[entry], by=by)
        raise challenges.WrongAnswer
    if challenge.step in challenges.WITH_CODE:
        throttle.succeeded_code(user.user_id)
    # Staged first: what comes next is decided from what the answer has changed.
    call.commit(Delete(challenge), *answered.writes, audit=answered.entries, send=answered.messages, by=by)
    shown = answered.second_factor or challenge.second_factor or ""
    passed = challenges.go_on(pending.candidate, user, call.origin, challenge.method, shown)
    entry = _told(call, pending, completed=True, second_factor=shown, asked=passed.asked)
    call.commit(*passed.writes, audit=[entry], by=by)
    if answered.recovery_codes:
        return passed.answer.model_copy(update={"recovery_codes": answered.recovery_codes})
    return passed.answer


def _told(
    call: Call, pending: Pending, *, completed: bool, second_factor: str = "", asked: str = ""
) -> Entry:
    described = rules.sign_in_description(
        completed=completed,
        user_agent=call.user_agent,
        address=call.address,
        method=pending.challenge.method,
        second_factor=second_factor,
        asked=asked,
    )
    return Entry(Activity.SIGN_IN, pending.user.node, described, completed=completed)
