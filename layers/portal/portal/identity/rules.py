"""Who may sign in, how tokens follow one another, and what a user may do in a portal."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from portal.change import Change
from portal.errors import Conflict, Invalid, NotSignedIn
from portal.identity import ip_restrictions, tokens
from portal.permissions import HELD_ON, Permission
from portal.scope import Caller, Scope
from portal.tree import Node, Tier

if TYPE_CHECKING:
    from portal.identity.records import ApiClient, Challenge, Credentials, Link, Security, Session, User

ACCESS_TOKEN_LASTS = timedelta(minutes=15)
CLIENT_TOKEN_LASTS = timedelta(minutes=60)
"""An API key's access token."""
SESSION_LASTS = timedelta(days=30)
"""From signing in, used or not; then the password is asked for again."""
LINK_LASTS = timedelta(hours=24)
CHALLENGE_LASTS = timedelta(minutes=10)
FEDERATED_LASTS = timedelta(seconds=60)
"""For the browser to come back from a provider and go on."""
MOST_WRONG_ANSWERS = 5
"""To one challenge; then the first factor is asked for again."""
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


METHODS = {"password": "email", "google": "google", "microsoft": "microsoft"}
"""The sign-in type of those who may use a method as their first factor."""
_NAMES = {"password": "Native", "google": "Google", "microsoft": "Microsoft", "api_key": "API key"}


_ASKED = {
    "totp": "a code",
    "password_expired": "a new password",
    "enrol_totp": "an authenticator app to be set up",
}
"""What a challenge asks for, by its step."""


def sign_in_description(
    *,
    completed: bool,
    user_agent: str,
    address: str,
    method: str = "password",
    second_factor: str = "",
    asked: str = "",
) -> str:
    """How the audit trail tells it: `Native Sign in (OK) Chrome from ip 198.51.100.7.`

    With a second factor (`code`, `recovery code`): `Native Sign in with code (OK) ...`. Where all was right so far and a
    step is still asked: `Native Sign in (right so far, asked for a code) ...`.
    """
    how = f"{_NAMES[method]} Sign in" + (f" with {second_factor}" if second_factor else "")
    outcome = "OK" if completed else "Failed"
    if asked:
        outcome = f"right so far, asked for {_ASKED[asked]}"
    return f"{how} ({outcome}) {browser(user_agent)} from ip {address}."


def password_expired(credentials: "Credentials | None", security: "Security | None", now: datetime) -> bool:
    """Whether a password is older than its portal lets passwords become."""
    if credentials is None or credentials.password_set_at is None or security is None:
        return False
    days = security.password_expires_after_days
    return days is not None and now >= credentials.password_set_at + timedelta(days=int(days))


def next_step(
    user: "User",
    credentials: "Credentials | None",
    security: "Security | None",
    *,
    method: str,
    second_factor: bool,
    now: datetime,
) -> str:
    """What is still asked of somebody whose first factor was right, or nothing.

    Decided anew after each step from what is stored, so that no step can be skipped or come in another order.
    """
    if user.two_factor and not second_factor:
        return "totp"
    if method == "password" and password_expired(credentials, security, now):
        return "password_expired"
    if security is not None and security.two_factor_required and not user.two_factor:
        return "enrol_totp"
    return ""


def may_go_on(challenge: "Challenge", user: "User", now: datetime) -> bool:
    """Whether a sign-in that was begun can still be gone on with: in time, with answers left, by the same user, who has
    the same password still.
    """
    return (
        now < challenge.ends_at
        and challenge.wrong_answers < MOST_WRONG_ANSWERS
        and user.state == "active"
        and user.session_epoch == challenge.epoch
        and user.sign_in_type == METHODS[challenge.method]
    )


def answered_wrong(challenge: "Challenge") -> Change:
    return Change(wrong_answers=int(challenge.wrong_answers) + 1)


# Links


def confirm() -> Change:
    """An invited user has followed the link that was mailed: it may sign in from now on."""
    return Change(state="active", link_hash=None)


def may_be_linked(user: "User", purpose: str, email: str) -> bool:
    """Whether a link for this purpose may go to this address, as things are by now."""
    if purpose == "email":
        return user.state == "active" and same_address(email, user.pending_email)
    if purpose == "password":
        return user.state == "active" and user.sign_in_type == "email" and same_address(email, user.email)
    return purpose == "invitation" and user.state == "invited" and same_address(email, user.email)


def linked(purpose: str, link_hash: str) -> Change:
    """A new link was made for a user: the earlier ones of its kind are void."""
    return Change(reset_hash=link_hash) if purpose == "password" else Change(link_hash=link_hash)


def is_good(link: "Link | None", user: "User | None", now: datetime) -> bool:
    """Whether a link can still be used: once, within 24 hours, only the latest, while its purpose is still there."""
    if link is None or user is None or now >= link.ends_at:
        return False
    latest = user.reset_hash if link.purpose == "password" else user.link_hash
    return link.link_hash == latest and may_be_linked(user, link.purpose, link.email)


def same_address(email: str, other: str | None) -> bool:
    """Whether two e-mail addresses are one, so that having the one shows who has the other.

    Stricter than what addresses are reserved by: folding case makes one domain of `straße.de` and `strasse.de`, which
    anybody can register apart.
    """
    if other is None:
        return False
    one, two = _mailbox(email), _mailbox(other)
    return one is not None and one == two


def _mailbox(email: str) -> tuple[str, str] | None:
    """Local part and domain as they are compared; None where that is no address that the portal's users can have."""
    local, at, domain = email.strip().rpartition("@")
    if not at or not local.isascii():
        return None
    if not domain.isascii():
        # Imported here, because few domains need it and every request loads this module.
        import idna

        try:
            domain = idna.encode(domain.lower()).decode()
        except UnicodeError:
            return None
    return local.lower(), domain.lower()


# Passwords


def with_password(user: "User", password_hash: str, now: datetime) -> Change:
    """A user's credentials after a password was chosen."""
    return Change(
        password_hash=password_hash, password_set_at=now, password_epoch=int(user.credentials_epoch)
    )


def with_identity(user: "User", identity_hash: str) -> Change:
    """A user's credentials after an identity at a provider was linked."""
    return Change(federated_hash=identity_hash, federated_epoch=int(user.credentials_epoch))


def password_changed(user: "User") -> Change:
    """The user after its password was set anew: its sessions are over, and what was mailed before is void.

    Also the link to a new address: somebody who is being shut out may have asked for it.
    """
    return Change(
        session_epoch=int(user.session_epoch) + 1, reset_hash=None, link_hash=None, pending_email=None
    )


def carried_over(changed: Change) -> Change:
    """The one session that goes on after `password_changed`, which said what became of the user."""
    return Change(epoch=changed["session_epoch"])


def is_open(session: "Session", user: "User", now: datetime) -> bool:
    """Whether it is a sign-in of this user in person that can still be used, and no portal that was entered from one."""
    if session.user_id != user.user_id or session.client_id or session.entered_through:
        return False
    return session.revoked_at is None and now < session.ends_at and bool(session.epoch == user.session_epoch)


def password_hash_of(user: "User | None", credentials: "Credentials | None") -> str | None:
    """What a password is compared with: nothing unless the user may sign in with one."""
    if user is None or credentials is None or user.state != "active" or user.sign_in_type != "email":
        return None
    return credentials.password_hash if credentials.password_epoch == user.credentials_epoch else None


def federated_hash_of(user: "User", credentials: "Credentials | None") -> str | None:
    """Which identity at a provider is the user's; not one from before its sign-in type was changed."""
    if credentials is None or credentials.federated_epoch != user.credentials_epoch:
        return None
    return credentials.federated_hash


def rehashed(password_hash: str) -> Change:
    """The same password, hashed with today's parameters."""
    return Change(password_hash=password_hash)


def without_app() -> Change:
    """Credentials whose authenticator app and recovery codes are forgotten."""
    return Change(totp_secret=None, totp_begun=None, totp_step=None, recovery_hashes=[])


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
    security: "Security | None" = None
    """What the user's own portal asks of its users."""
    api_client: "ApiClient | None" = None
    """The API key that opened the session, when one did and it is still there."""


_GONE_TENANTS = (None, "removal_pending", "removed")


def stands(tenants: Sequence[str | None]) -> bool:
    """Whether a portal and all above it are still there."""
    return not any(state in _GONE_TENANTS for state in tenants)


def refusal(bearer: Bearer, address: str, now: datetime) -> str:
    """Why a token does not count, or nothing."""
    for session in bearer.sessions:
        if session is None or session.revoked_at is not None or session.ends_at <= now:
            return "session_ended"
    if bearer.user is None or bearer.user.state != "active":
        return "user_disabled"
    if not stands(bearer.tenants):
        return "portal_removed"
    signed_in = bearer.sessions[-1]
    by_key = signed_in is not None and bool(signed_in.client_id)
    if by_key and bearer.api_client is None:
        return "api_key_deleted"
    epoch = bearer.user.client_epoch if by_key else bearer.user.session_epoch
    if signed_in is not None and signed_in.epoch != epoch:
        return "session_ended"
    if not ip_restrictions.allowed(bearer.security, address):
        return "access_denied"
    if by_key:
        return ""
    if bearer.security is not None and bearer.security.two_factor_required:
        proved = signed_in is not None and signed_in.second_factor and bearer.user.two_factor
        return "" if proved else "second_factor_required"
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
    user: "User",
    portal: Node,
    session_id: str,
    client_id: str = "",
    accessible: Collection[str] | None = None,
) -> Caller:
    """Who the bearer is for this portal.

    `accessible` is the list of accessible accounts of a limited user that entered the portal: one that is no
    longer on it was withdrawn, and the token counts for nothing.
    """
    home = user.node
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
        client_id=client_id,
        permissions=permissions,
        limited=user.limited,
    )


# What a portal asks of all of its users


class SecondFactorMissing(Conflict):
    detail = "Turn on two-factor authentication for yourself first, and sign in with a code: you would be locked out."


def set_policy(
    security: "Security | None",
    *,
    password_expires_after_days: int | None,
    two_factor_required: bool,
    has_second_factor: bool,
    now: datetime,
) -> Change:
    """What changes of a portal's policy; nothing when it is as it was.

    Raises:
        SecondFactorMissing: the caller requires a second factor that it does not have itself.
    """
    days = security.password_expires_after_days if security else None
    required = bool(security and security.two_factor_required)
    if two_factor_required and not required and not has_second_factor:
        raise SecondFactorMissing
    change = Change()
    if two_factor_required != required:
        change |= Change(two_factor_required=two_factor_required)
    if password_expires_after_days != days:
        look_at = None if password_expires_after_days is None else now
        change |= Change(password_expires_after_days=password_expires_after_days, expiry_look_at=look_at)
    return change


def policy_description(change: Change) -> str:
    """How the audit trail tells a change of the policy."""
    said = []
    if "password_expires_after_days" in change:
        days = change["password_expires_after_days"]
        said.append("passwords never expire" if days is None else f"passwords expire after {days} days")
    if "two_factor_required" in change:
        required = change["two_factor_required"]
        said.append(f"two-factor authentication is {'required' if required else 'not required any more'}")
    return f"Changed the security policy: {', '.join(said)}"
