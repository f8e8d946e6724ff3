"""Attempts at what somebody might guess, counted before they are checked.

What is counted is what was sent (an address that nobody has, too), so being throttled tells nothing about who exists.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil

from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action

from portal import keys
from portal.errors import TooManyRequests
from portal.identity.records import folded
from portal.scope import Origin
from portal.table import Contended, InstantAttribute, Item, code_of, expiry, find


class TooManyAttempts(TooManyRequests):
    detail = "Too many attempts. Wait before you try again."


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `number` attempts from the first one until `window` later."""

    number: int
    window: timedelta


OF_ONE_CLIENT = Limit(10, timedelta(minutes=15))
"""Of one subject from one address."""
OF_ONE_SUBJECT = Limit(50, timedelta(hours=1))
"""From wherever."""
OF_ONE_ADDRESS = Limit(100, timedelta(minutes=15))
"""Whatever is tried from it."""
LINKS_TO_ONE_ADDRESS = 5, timedelta(hours=1)
"""How many mails with a link go to an address that nobody has confirmed, and within which time."""
OF_CODES = (Limit(10, timedelta(minutes=15)), Limit(50, timedelta(days=1)))
"""Of one user, who has shown the first factor each time."""
RESETS_THAT_CLEAR = Limit(3, timedelta(days=1))
"""Of one user's password."""


class Attempts(Item, discriminator="attempts"):
    """How many attempts of one kind at one subject were made in a window of time."""

    number = NumberAttribute()
    ends_at = InstantAttribute()


def attempt(what: str, subject: str, limit: int, window: timedelta, now: datetime) -> None:
    """Count one more attempt. Call it before checking anything, so that copies at once do not outrun it.

    Raises:
        TooManyAttempts: there were `limit` already since the first one, less than `window` ago.
    """
    for _ in range(3):
        if _counted(what, subject, limit, now + window, now):
            return
        # Full, or over: an ended window is begun anew by exactly one of those who find it.
        known = find(Attempts, *_key(what, subject))
        if known is not None and known.ends_at > now and known.number >= limit:
            raise TooManyAttempts(retry_after_seconds=max(1, ceil((known.ends_at - now).total_seconds())))
        if known is not None and known.ends_at <= now and _begun_anew(known, now + window):
            return
    raise Contended


def give_back(what: str, subject: str) -> None:
    """Take one attempt back: it succeeded, so nobody was guessing."""
    record = _record(what, subject)
    try:
        record.update([Attempts.number.add(-1)], Attempts.number > 0, add_version_condition=False)
    except UpdateError as error:
        _check_refused(error)


def clear(what: str, subject: str) -> None:
    """Take all attempts back: whoever made them has shown to be who they say."""
    _record(what, subject).delete(add_version_condition=False)


def attempt_from(what: str, subject: str, origin: Origin) -> None:
    """Count one more attempt at a subject (an e-mail address, a client id) from where it came: that address whatever it
    tries, both together, and the subject from wherever. In this order: who is refused uses up nobody else's attempts.

    Raises:
        TooManyAttempts: one of them is used up.
    """
    counted = (
        (f"{what} at", place(origin), OF_ONE_ADDRESS),
        (f"{what} from", f"{place(origin)} {folded(subject)}", OF_ONE_CLIENT),
        (f"{what} of", folded(subject), OF_ONE_SUBJECT),
    )
    for kind, whose, limit in counted:
        attempt(kind, whose, limit.number, limit.window, origin.at)


def attempt_at(what: str, origin: Origin) -> None:
    """Count one more attempt from where it came, when nothing says yet what it is an attempt at.

    Raises:
        TooManyAttempts
    """
    attempt(f"{what} at", place(origin), OF_ONE_ADDRESS.number, OF_ONE_ADDRESS.window, origin.at)


def succeeded_from(what: str, subject: str, origin: Origin) -> None:
    """An attempt counted by `attempt_from` succeeded. The address keeps its count: whoever has one account could try
    others in between.
    """
    clear(f"{what} from", f"{place(origin)} {folded(subject)}")
    give_back(f"{what} of", folded(subject))


def attempt_code(user_id: str, now: datetime, *, what: str = "code") -> None:
    """Count one more attempt at a user's codes, or at another secret (`what`) by whoever is signed in as that user.

    Raises:
        TooManyAttempts
    """
    for number, limit in enumerate(OF_CODES):
        attempt(f"{what} {number}", user_id, limit.number, limit.window, now)


def succeeded_code(user_id: str, *, what: str = "code") -> None:
    """An attempt counted by `attempt_code` succeeded."""
    for number, _ in enumerate(OF_CODES):
        give_back(f"{what} {number}", user_id)


def clear_codes(user_id: str) -> None:
    """Take all attempts at a user's codes back: no code is asked any more, or whoever guessed is shut out."""
    for number, _ in enumerate(OF_CODES):
        clear(f"code {number}", user_id)


def clear_codes_after_reset(user_id: str, now: datetime) -> None:
    """The same after a forgotten password was set anew: who guessed knew the former one. Three times a day, or whoever
    reads the user's mail could reset it again and again, and guess on.
    """
    try:
        attempt("code reset", user_id, RESETS_THAT_CLEAR.number, RESETS_THAT_CLEAR.window, now)
    except TooManyAttempts:
        return
    clear_codes(user_id)


def place(origin: Origin) -> str:
    """Where an attempt came from, as it is counted: of IPv6 the first half, because anybody has all of the second."""
    try:
        address = ip_address(origin.address)
    except ValueError:
        return origin.address
    return str(int(address) >> 64) if isinstance(address, IPv6Address) else str(address)


def _key(what: str, subject: str) -> tuple[str, str]:
    # Hashed, so that what somebody typed into the wrong field is not kept.
    return keys.throttle(hashlib.sha256(f"{what}\n{subject}".encode(errors="replace")).hexdigest())


def _record(what: str, subject: str) -> Attempts:
    return Attempts(*_key(what, subject))


def _counted(what: str, subject: str, limit: int, ends_at: datetime, now: datetime) -> bool:
    record = _record(what, subject)
    begun: list[Action] = [
        Attempts.number.add(1),
        Attempts.kind.set(Attempts),
        Attempts.ends_at.set(Attempts.ends_at | ends_at),
        Attempts.expires_at.set(Attempts.expires_at | expiry(ends_at)),
    ]
    open_still = Attempts.pk.does_not_exist() | ((Attempts.ends_at > now) & (Attempts.number < limit))
    try:
        record.update(begun, open_still, add_version_condition=False)
    except UpdateError as error:
        _check_refused(error)
        return False
    return True


def _begun_anew(known: Attempts, ends_at: datetime) -> bool:
    anew: list[Action] = [
        Attempts.number.set(1),
        Attempts.ends_at.set(ends_at),
        Attempts.expires_at.set(expiry(ends_at)),
    ]
    try:
        known.update(anew, Attempts.ends_at == known.ends_at, add_version_condition=False)
    except UpdateError as error:
        _check_refused(error)
        return False
    return True


def _check_refused(error: UpdateError) -> None:
    """That an update failed because its condition did not hold, not for another reason."""
    if code_of(error) != "ConditionalCheckFailedException":
        raise error
