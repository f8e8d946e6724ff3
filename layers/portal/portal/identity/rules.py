"""Who may sign in, how tokens follow one another, and what a user may do in a portal."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from portal.change import Change
from portal.errors import Invalid, NotSignedIn
from portal.identity import tokens
from portal.permissions import HELD_ON, Permission
from portal.scope import Caller, Scope
from portal.tree import Node, Tier

if TYPE_CHECKING:
    from portal.identity.records import Link, Session, User

ACCESS_TOKEN_LASTS = timedelta(minutes=15)
SESSION_LASTS = timedelta(days=30)
"""From signing in, used or not; then the password is asked for again."""
LINK_LASTS = timedelta(hours=24)
REPLAY_LASTS = timedelta(seconds=30)
"""How long a client that did not get the answer to its refresh may ask again."""


class InvalidCredentials(NotSignedIn):
    detail = "E-mail address or password is wrong."


class InvalidLink(Invalid):
    detail = "This link was used, has expired, or was replaced by a later one."


# Signing in

_BROWSERS = (
    ("Edge", r"\bEdg(e|A|iOS)?/"),
    ("Opera", r"\bOPR/|\bOpera\b"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\bFirefox/|\bFxiOS/"),
    ("Chrome", r"\bChrome\b|\bCriOS/"),
    ("Safari", r"\bSafari/"),
)
"""In this order, because most browsers also claim to be the ones below."""


def browser(user_agent: str) -> str:
    """What signed in, by its User-Agent header: a browser's name, or the first word of anything else."""
    for name, pattern in _BROWSERS:
        if re.search(pattern, user_agent):
            return name
    other = re.match(r"[A-Za-z0-9._-]{1,40}", user_agent)
    return other[0] if other else "Unknown client"


def sign_in_description(*, completed: bool, user_agent: str, address: str) -> str:
    """How the audit trail tells it: `Native Sign in (OK) Chrome from ip 198.51.100.7.`"""
    return f"Native Sign in ({'OK' if completed else 'Failed'}) {browser(user_agent)} from ip {address}."


def confirm(user: "User | None", link: "Link | None", password_hash: str, now: datetime) -> Change:
    """The user follows the link that was mailed and chooses a password: it may sign in from now on.

    Raises:
        InvalidLink: the link is over, or not the latest one.
    """
    if not is_good(link, user, now):
        raise InvalidLink
    return Change(state="active", password_hash=password_hash, link_hash=None)


def linked(link_hash: str) -> Change:
    """A new link was made for an invited user: the earlier ones are void."""
    return Change(link_hash=link_hash)


def is_good(link: "Link | None", user: "User | None", now: datetime) -> bool:
    """Whether a link can still be used: once, within 24 hours, and only the latest of an invited user."""
    if link is None or user is None or user.state != "invited":
        return False
    return now < link.ends_at and link.link_hash == user.link_hash


def password_hash_of(user: "User | None") -> str | None:
    """What a password is compared with: nothing unless the user may sign in with one."""
    return user.password_hash if user is not None and user.state == "active" else None


def rehashed(password_hash: str) -> Change:
    """The same password, hashed with today's parameters."""
    return Change(password_hash=password_hash)


def sign_out(session: "Session", now: datetime) -> Change:
    return Change(revoked_at=session.revoked_at or now)


# Tokens


@dataclass(frozen=True, slots=True)
class Rotation:
    """What becomes of a session whose refresh token was shown: the secret that follows, None if it is
    refused.
    """

    secret: str | None
    change: Change | None


def rotate(session: "Session", secret: str, *, salt: str, now: datetime) -> Rotation:
    """A refresh token is used once.

    Its immediate predecessor may come again for 30 seconds, when an answer was lost, and gets the same
    successor. Any older one was stolen, now or then: nobody can tell from whom, so the session ends, and all
    entered from it. What never was a token of this session proves nothing and ends nothing.
    """
    shown = tokens.hashed(secret)
    if shown == session.refresh_hash:
        following = tokens.successor(secret, salt, session.tag_key)
        rotated = Change(
            refresh_hash=tokens.hashed(following), previous_hash=shown, successor_salt=salt, rotated_at=now
        )
        return Rotation(following, rotated)
    if shown == session.previous_hash and now <= session.rotated_at + REPLAY_LASTS:
        return Rotation(tokens.successor(secret, session.successor_salt, session.tag_key), None)
    return Rotation(None, Change(revoked_at=now) if tokens.is_tagged(secret, session.tag_key) else None)


# Standing: whether what a token says still holds


@dataclass(frozen=True, slots=True)
class Bearer:
    """What is stored of whoever shows a token: the sessions from its own to the one of signing in, and the
    user.

    `tenants` are the states of the portal and of what lies above it; None where there is no such tenant (any
    more).
    """

    user: "User | None"
    sessions: Sequence["Session | None"]
    tenants: Sequence[str | None]


_GONE_TENANTS = (None, "removal_pending", "removed")


def stands(tenants: Sequence[str | None]) -> bool:
    """Whether a portal and all above it are still there."""
    return not any(state in _GONE_TENANTS for state in tenants)


def refusal(bearer: Bearer, now: datetime) -> str:
    """Why a token does not count, or nothing."""
    for session in bearer.sessions:
        if session is None or session.revoked_at is not None or session.ends_at <= now:
            return "session_ended"
    if bearer.user is None or bearer.user.state != "active":
        return "user_disabled"
    if not stands(bearer.tenants):
        return "portal_removed"
    return ""


_ENTERING = {Tier.VENDOR: Permission.OPERATOR_DISTRIBUTORS}
"""What it takes to enter a portal further down, by one's own tier; elsewhere it is to see the dashboard."""

_INSIDE_AN_ACCOUNT = {
    Permission.ACCOUNT_SETTINGS_VIEW: Permission.SETTINGS_VIEW,
    Permission.ACCOUNT_SUPPORT_VIEW: Permission.SUPPORT_USE,
    Permission.ACCOUNT_USERS_MANAGE: Permission.USERS_MANAGE,
    Permission.ACCOUNT_AUDIT_VIEW: Permission.AUDIT_VIEW,
}
"""What an account permission lets a user from above do with the operations of an account's own portal."""


def permissions_at_home(user: "User", home: Node) -> frozenset[Permission]:
    """What a user may do in the portal it belongs to."""
    held = HELD_ON[home.tier]
    if user.role == "administrator":
        return held
    return frozenset(permission for permission in held if permission in user.permissions)


def permissions_in(user: "User", home: Node, portal: Node) -> frozenset[Permission]:
    """What a user may do in a portal, its own or one that it entered: never more than that portal's
    administrators.
    """
    own = permissions_at_home(user, home)
    if portal == home:
        return own
    if _ENTERING.get(home.tier, Permission.DASHBOARD_VIEW) not in own:
        return frozenset()
    held = HELD_ON[portal.tier]
    if home.tier is Tier.VENDOR:
        return held
    if user.role == "administrator" or portal.tier is not Tier.ACCOUNT:
        return own & held
    # A custom user's portal permissions are about its own portal; inside an account its account permissions
    # count.
    inside = {permission for permission in own if permission.startswith("account.")}
    return held & (inside | {_INSIDE_AN_ACCOUNT[each] for each in inside if each in _INSIDE_AN_ACCOUNT})


def caller(
    user: "User", home: Node, portal: Node, session_id: str, accessible: Collection[str] | None = None
) -> Caller:
    """Who the bearer is for this portal.

    `accessible` is the list of accessible accounts of a limited user that entered the portal: one that is no
    longer on it was withdrawn, and the token counts for nothing.
    """
    permissions = permissions_in(user, home, portal)
    if portal != home and (not permissions or not Scope(home, accessible).covers(portal)):
        return Caller(kind="anonymous", refused="access_withdrawn")
    return Caller(
        kind="user",
        user_id=user.user_id,
        email=user.email,
        name=user.name,
        home=home,
        portal=portal,
        session_id=session_id,
        permissions=permissions,
        limited=user.limited,
    )
