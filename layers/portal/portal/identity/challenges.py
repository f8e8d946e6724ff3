"""A sign-in on its way: the first factor was right, and more is asked, step by step, until there is a session.

A challenge takes one right answer, from the same user with the same password, and is worth nothing as an access token.
What the next one asks is decided by `rules.next_step` from what is stored by then.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from portal import ids, keys
from portal.errors import FieldError, Invalid, NotSignedIn
from portal.identity import (
    actions,
    authenticators,
    password_changes,
    passwords,
    records,
    rules,
    tokens,
    views,
)
from portal.identity.actions import Candidate
from portal.identity.records import Challenge, Credentials, User
from portal.journal import Activity, Entry, Message
from portal.scope import Origin
from portal.table import Delete, Put, Update, Write, expiry
from portal.tree import Node

_ANSWERS: dict[str, list[set[str]]] = {
    "federated": [set()],
    "totp": [{"code"}, {"recovery_code"}],
    "password_expired": [{"new_password", "confirmation"}],
    "enrol_totp": [{"code"}],
}
"""What may be sent to answer each step."""


WITH_CODE = ("totp", "enrol_totp")
"""Steps whose answer somebody might guess."""


class ChallengeOver(NotSignedIn):
    detail = "This sign-in is over: it took too long, was completed, or something has changed. Begin again."


class WrongAnswer(NotSignedIn):
    detail = "This code is wrong, or was used before."


@dataclass(frozen=True, slots=True)
class NewChallenge:
    """A challenge: what to write, and what to tell the client."""

    token: str
    lasts: timedelta
    writes: list[Write]
    authenticator: views.Authenticator | None = None


def begin(user: User, step: str, origin: Origin, method: str, *, second_factor: str = "") -> NewChallenge:
    """A challenge to a user whose first factor, by one of `rules.METHODS`, was right.

    The step `federated` asks for nothing but the token: a browser that comes back from a provider brings it.
    `second_factor` is what has been shown besides: `code`, `recovery code` or nothing.
    """
    token = tokens.CHALLENGE + ids.secret()
    lasts = rules.FEDERATED_LASTS if step == "federated" else rules.CHALLENGE_LASTS
    enrolment = authenticators.enrolment(user) if step == "enrol_totp" else None
    challenge = Challenge(
        *keys.challenge(tokens.hashed(token)),
        user_path=str(user.node),
        user_id=user.user_id,
        epoch=int(user.session_epoch),
        method=method,
        step=step,
        second_factor=second_factor or None,
        enrolment=enrolment.sealed if enrolment else None,
        created_at=origin.at,
        ends_at=origin.at + lasts,
        expires_at=expiry(origin.at + lasts),
    )
    return NewChallenge(token, lasts, [Put(challenge)], enrolment.shown if enrolment else None)


@dataclass(frozen=True, slots=True)
class Passed:
    """What a step that was passed leads to: tokens, or the next challenge."""

    answer: views.Tokens | views.Challenge
    writes: list[Write]
    asked: str = ""
    """The next challenge's step."""


def go_on(candidate: Candidate, user: User, origin: Origin, method: str, second_factor: str = "") -> Passed:
    """What comes next for whom everything so far was right."""
    step = rules.next_step(
        user,
        candidate.credentials,
        candidate.security,
        method=method,
        second_factor=bool(second_factor),
        now=origin.at,
    )
    if not step:
        opened = actions.open_session(user, origin, second_factor=bool(second_factor))
        return Passed(opened.tokens, opened.writes)
    new = begin(user, step, origin, method, second_factor=second_factor)
    return Passed(views.challenge(step, new.token, new.lasts, new.authenticator), new.writes, step)


# Answering


@dataclass(frozen=True, slots=True)
class Pending:
    """A challenge that can be answered, and whom it is about."""

    challenge: Challenge
    candidate: Candidate
    user: User


def get(token: str, now: datetime) -> Pending:
    """The challenge that this token was given out for.

    Raises:
        ChallengeOver: there is none (any more), or what it depends on has changed.
    """
    challenge = records.find_challenge(tokens.hashed(token))
    if challenge is None:
        raise ChallengeOver
    candidate = actions.candidate(Node.parse(challenge.user_path), challenge.user_id)
    user = candidate.user
    if user is None or not candidate.stands or not rules.may_go_on(challenge, user, now):
        raise ChallengeOver
    asked = rules.next_step(
        user,
        candidate.credentials,
        candidate.security,
        method=challenge.method,
        second_factor=challenge.second_factor is not None,
        now=now,
    )
    if challenge.step not in ("federated", asked):
        raise ChallengeOver
    return Pending(challenge, candidate, user)


def check_answers(challenge: Challenge, given: Collection[str]) -> None:
    """That what was sent is what the step asks for.

    Raises:
        Invalid: it is something else, more or less.
    """
    wanted = _ANSWERS[challenge.step]
    if set(given) not in wanted:
        either = " or ".join(" and ".join(sorted(each)) or "nothing but the token" for each in wanted)
        raise Invalid(f"This challenge ({challenge.step}) is answered with {either}.")


@dataclass(frozen=True, slots=True)
class Given:
    """What was sent as an answer."""

    code: str = ""
    recovery_code: str = ""
    new_password: str = ""
    confirmation: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a right answer changes, besides ending its challenge."""

    writes: list[Write] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    second_factor: str = ""
    recovery_codes: list[str] = field(default_factory=list)


def answered(pending: Pending, given: Given, origin: Origin) -> Answered | None:
    """What an answer changes; None if it is wrong.

    Raises:
        Invalid: the new password will not do; another one may be tried.
    """
    user, credentials = pending.user, pending.candidate.credentials
    match pending.challenge.step:
        case "totp":
            return _with_code(user, credentials, given, origin.at)
        case "password_expired":
            return _with_new_password(user, credentials, given, origin)
        case "enrol_totp":
            return _with_authenticator(pending, given.code, origin)
    return Answered()


def _with_code(user: User, credentials: Credentials | None, given: Given, now: datetime) -> Answered | None:
    if given.recovery_code:
        kind = authenticators.RECOVERY_CODE
        used = authenticators.recovery_code_used(user, credentials, given.recovery_code)
    else:
        kind = authenticators.CODE
        used = authenticators.code_used(user, credentials, given.code, now)
    if credentials is None or used is None:
        return None
    return Answered([Update(credentials, used)], second_factor=kind)


def _with_new_password(
    user: User, credentials: Credentials | None, given: Given, origin: Origin
) -> Answered | None:
    if given.new_password != given.confirmation:
        raise _refused("confirmation", "This is not what you typed as your new password.")
    if weakness := passwords.weakness(given.new_password, email=user.email):
        raise _refused("new_password", weakness)
    if credentials is None or passwords.matches(given.new_password, credentials.password_hash):
        raise _refused("new_password", "This is the password that has expired; choose another.")
    chosen = rules.with_password(user, passwords.hashed(given.new_password), origin.at)
    return Answered(
        [Update(credentials, chosen), Update(user, rules.password_changed(user))],
        [Entry(Activity.SECURITY_SETTINGS_CHANGED, user.node, "Changed the expired password")],
        [password_changes.told(user, origin)],
    )


def _with_authenticator(pending: Pending, code: str, origin: Origin) -> Answered | None:
    user, sealed = pending.user, pending.challenge.enrolment or ""
    turned_on = authenticators.turn_on(user, pending.candidate.credentials, sealed, code, origin.at)
    if turned_on is None:
        return None
    entry = Entry(Activity.SECURITY_SETTINGS_CHANGED, user.node, authenticators.TURNED_ON)
    return Answered(
        turned_on.writes,
        [entry],
        [authenticators.told(user, authenticators.TURNED_ON, origin)],
        second_factor=authenticators.CODE,
        recovery_codes=turned_on.recovery_codes,
    )


def _refused(name: str, message: str) -> Invalid:
    return Invalid(errors=(FieldError(name, message),))


def wrong(challenge: Challenge) -> Write:
    """One wrong answer more; the last one that is allowed ends the challenge."""
    change = rules.answered_wrong(challenge)
    over = change["wrong_answers"] >= rules.MOST_WRONG_ANSWERS
    return Delete(challenge) if over else Update(challenge, change)
