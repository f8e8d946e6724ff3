"""Users, sessions, tokens and one-time links."""

from collections.abc import Iterator

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from portal import keys
from portal.errors import Conflict, NotFound
from portal.scope import Scope
from portal.table import InstantAttribute, Item, JsonAttribute, find, query
from portal.tree import Node


class EmailTaken(Conflict):
    detail = "This e-mail address is in use already."


class User(Item, discriminator="user"):
    """A person who signs in to one portal. `state` is `invited`, `active` or `disabled`."""

    user_id = UnicodeAttribute()
    email = UnicodeAttribute()
    name = UnicodeAttribute()
    sign_in_type = UnicodeAttribute(default="email")
    """`email`, `google` or `microsoft`."""
    role = UnicodeAttribute()
    """`administrator` or `custom`."""
    permissions = JsonAttribute()
    """Of a custom role: a list of permission names. An administrator has all of the portal's tier."""
    limited = BooleanAttribute(default=False)
    """Whether it sees only its list of accessible accounts (`portal.access`)."""
    state = UnicodeAttribute()
    password_hash = UnicodeAttribute(null=True)
    link_hash = UnicodeAttribute(null=True)
    """Hash of the latest one-time link; earlier ones are void."""


class EmailOwner(Item, discriminator="email"):
    """Who owns an e-mail address: the one place that makes addresses unique over the whole portal."""

    path = UnicodeAttribute()
    """Node of the portal whose user has it."""
    user_id = UnicodeAttribute()


class Session(Item, discriminator="session"):
    """A sign-in (or the entering of another portal), with the current refresh token.

    Refresh tokens rotate. The next one is derived from the present one and `successor_salt`, so that the
    immediate predecessor can be answered with the same successor without storing any token. `tag_key` tells
    earlier tokens of this session from anything else; knowing it makes no valid token.
    """

    session_id = UnicodeAttribute()
    user_path = UnicodeAttribute()
    """Node of the user's own portal."""
    user_id = UnicodeAttribute()
    portal_path = UnicodeAttribute()
    """Node of the portal that the session speaks for."""
    entered_through = JsonAttribute()
    """Ids of the sessions through which this portal was entered, the nearest first; when one ends, so does
    this.
    """
    tag_key = UnicodeAttribute()
    refresh_hash = UnicodeAttribute()
    previous_hash = UnicodeAttribute(null=True)
    successor_salt = UnicodeAttribute(null=True)
    rotated_at = InstantAttribute(null=True)
    revoked_at = InstantAttribute(null=True)
    ends_at = InstantAttribute()
    address = UnicodeAttribute(null=True)
    user_agent = UnicodeAttribute(null=True)


class AccessToken(Item, discriminator="token"):
    """An access token by its hash, with what it takes to read everything else about its bearer at once."""

    session_id = UnicodeAttribute()
    entered_through = JsonAttribute()
    user_path = UnicodeAttribute()
    user_id = UnicodeAttribute()
    portal_path = UnicodeAttribute()
    ends_at = InstantAttribute()


class Link(Item, discriminator="link"):
    """A one-time link to confirm an e-mail address, by the hash of its secret."""

    link_hash = UnicodeAttribute()
    user_path = UnicodeAttribute()
    user_id = UnicodeAttribute()
    ends_at = InstantAttribute()


class FailedSignIn(Item, discriminator="failed-sign-in"):
    """A sign-in with an e-mail address that nobody has: there is no portal whose audit trail could tell of
    it.
    """

    description = UnicodeAttribute()


def folded(email: str) -> str:
    """An e-mail address as it is compared: trimmed and case-folded."""
    return email.strip().casefold()


def find_email_owner(email: str) -> EmailOwner | None:
    return find(EmailOwner, *keys.email(folded(email)))


def find_user(home: Node, user_id: str) -> User | None:
    """A user by what a token, a link or an e-mail address says of them, before it is known who is calling."""
    return find(User, keys.node(home), keys.user(user_id))


def find_session(session_id: str) -> Session | None:
    return find(Session, *keys.session(session_id))


def get_session(session_id: str) -> Session:
    found = find_session(session_id)
    if found is None:
        raise NotFound
    return found


def find_access_token(token_hash: str) -> AccessToken | None:
    return find(AccessToken, *keys.token(token_hash))


def find_link(link_hash: str) -> Link | None:
    return find(Link, *keys.link(link_hash))


def get_user(scope: Scope, home: Node, user_id: str) -> User:
    found = find(User, keys.node(scope.reach(home)), keys.user(user_id))
    if found is None:
        raise NotFound
    return found


def list_users(scope: Scope, home: Node) -> Iterator[User]:
    return query(User, keys.node(scope.reach(home)), keys.user())
