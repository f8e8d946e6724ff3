"""Warning users before their passwords expire, where their portal has them expire: 14, 7 and 1 days before, by mail.

A day that was missed is made up for with the nearest warning. Each is mailed once, however often somebody looks: the
mail's dedupe key names the password and the warning.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from portal.change import Change
from portal.identity import records, rules
from portal.identity.records import Credentials, Security, User
from portal.journal import Message
from portal.notifications.messages import mail
from portal.scope import EVERYTHING
from portal.table import Update, settled
from portal.tree import Node

if TYPE_CHECKING:
    from portal.consumer import Work

WARNED_DAYS_BEFORE = (1, 7, 14)
_USERS_AT_A_TIME = 50


def warning_due(set_on: date, days: int, today: date, warned_on: date | None = None) -> int | None:
    """Which warning (one of `WARNED_DAYS_BEFORE`) is due for a password set on a day that expires `days` later.

    `warned_on` is the last day whose warnings are sent. Nobody is warned on the day of choosing the password.
    """
    expires_on = set_on + timedelta(days=days)
    left = (expires_on - today).days
    nearest = next((each for each in WARNED_DAYS_BEFORE if each >= left), None)
    if left < 1 or nearest is None:
        return None
    since = expires_on - timedelta(days=nearest)
    return nearest if since > max(set_on, warned_on or set_on) else None


def warn(work: "Work", home: Node, days: int | None = None, after: str = "") -> tuple[int, str] | None:
    """Have the users of a portal mailed whose warning is due by now, going on behind `after`.

    None when nothing is left to do; else the days that passwords are good for, and the last user it has come to: the
    next call takes both. When the portal has changed the days meanwhile, it is looked at again anyway.
    """
    security = records.find_security(home)
    if security is None or not _is_due(security, work.now) or days not in (None, _days(security)):
        return None
    days, today = _days(security), work.now.date()
    warned_on = security.expiry_warned_on if security.expiry_warned_days == days else None
    users = iter(records.list_users(EVERYTHING, home, after))
    while some := list(islice(users, _USERS_AT_A_TIME)):
        credentials = records.find_credentials_of(user.user_id for user in some)
        due = _warnings(some, credentials, days, today, warned_on)
        work.commit(send=due)
        if work.time_is_short:
            return days, some[-1].user_id
    settled(partial(_warned, work, home, days))
    return None


def _warnings(
    users: list[User], credentials: dict[str, Credentials], days: int, today: date, warned_on: date | None
) -> Iterator[Message]:
    for user in users:
        known = credentials.get(user.user_id)
        if known is None or known.password_set_at is None:
            continue
        if rules.password_hash_of(user, known) is None:
            continue
        set_on = known.password_set_at.date()
        if threshold := warning_due(set_on, days, today, warned_on):
            yield _mail(user, set_on, days, threshold)


def _mail(user: User, set_on: date, days: int, threshold: int) -> Message:
    return mail(
        user.node,
        to=[user.email],
        template="password_expiring",
        parameters={"name": user.name, "expires_on": f"{set_on + timedelta(days=days)}"},
        dedupe=f"password-expiry {user.user_id} {set_on} {days} {threshold}",
    )


def _warned(work: "Work", home: Node, days: int) -> None:
    """A day is done: the portal is looked at again from midnight (UTC) on."""
    security = records.find_security(home)
    if security is None or not _is_due(security, work.now) or _days(security) != days:
        return
    today = work.now.date()
    tomorrow = datetime.combine(today + timedelta(days=1), time(), UTC)
    done = Change(expiry_look_at=tomorrow, expiry_warned_on=today, expiry_warned_days=days)
    work.commit(Update(security, done))


def _is_due(security: Security, now: datetime) -> bool:
    if security.password_expires_after_days is None or security.expiry_look_at is None:
        return False
    return bool(security.expiry_look_at <= now)


def _days(security: Security) -> int:
    return int(security.password_expires_after_days)
