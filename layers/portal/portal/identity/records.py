"""Users, what they sign in with, sessions, tokens, one-time links, and what a portal asks of all of them.

A user is an item of its portal, which that portal's operations read. What it signs in with lies in partitions of its
own that only the functions of this domain may touch.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from portal import keys
from portal.errors import Conflict, NotFound
from portal.identity.tokens import hashed
from portal.scope import Scope
from portal.table import DateAttribute, InstantAttribute, Item, JsonAttribute, find, find_many, note, query
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
    two_factor = BooleanAttribute(default=False)
    """Whether signing in asks for a code of an authenticator app as well."""
    session_epoch = NumberAttribute(default=0)
    """Sessions that were opened in an earlier epoch are over: a changed password begins a new one."""
    client_epoch = NumberAttribute(default=0)
    """Likewise of API keys' sessions: being disabled begins a new one."""
    credentials_epoch = NumberAttribute(default=0)
    """Passwords and identities of an earlier epoch are void: another sign-in type begins a new one."""
    link_hash = UnicodeAttribute(null=True)
    """Hash of the latest link that confirms an address (`invitation`, `email`); earlier ones are void."""
    reset_hash = UnicodeAttribute(null=True)
    """Hash of the latest link to set a forgotten password, likewise. A stranger who asks for one voids no link that
    confirms an address.
    """
    pending_email = UnicodeAttribute(null=True)
    """The address that the user is to have once it is confirmed there."""


class Credentials(Item, discriminator="credentials"):
    """What a user signs in with."""

    user_id = UnicodeAttribute()
    password_hash = UnicodeAttribute(null=True)
    password_set_at = InstantAttribute(null=True)
    password_epoch = NumberAttribute(default=0)
    """The user's credentials epoch when it was chosen."""
    totp_secret = UnicodeAttribute(null=True)
    """The secret shared with the authenticator app, encrypted (`portal.adapters.vault`)."""
    totp_begun = UnicodeAttribute(null=True)
    """Likewise one that no code has proved yet."""
    totp_step = NumberAttribute(null=True)
    """The latest time step whose code was accepted; it and those before are used up."""
    recovery_hashes = JsonAttribute(default=list)
    """Hashes of the recovery codes that are left."""
    federated_hash = UnicodeAttribute(null=True)
    """Which `Federated` item is this user's."""
    federated_epoch = NumberAttribute(default=0)
    """The user's credentials epoch when it was linked."""


class Security(Item, discriminator="security"):
    """What a portal asks of its users. One item, so no two changes at once can lock everybody out together."""

    password_expires_after_days = NumberAttribute(null=True)
    two_factor_required = BooleanAttribute(default=False)
    ip_restricted = BooleanAttribute(default=False)
    ip_entries = JsonAttribute(default=list)
    """`{"entry_id", "addresses": [...], "from", "to", "description", "created_at"}`, see `identity.ip_restrictions`."""
    expiry_look_at = InstantAttribute(null=True)
    """When to look next whose password is about to expire. Whoever changes the number of days sets it to now."""
    expiry_warned_on = DateAttribute(null=True)
    """The last day whose warnings are sent, under an expiry after `expiry_warned_days` days."""
    expiry_warned_days = NumberAttribute(null=True)

    def due_key(self) -> tuple[str, str] | None:
        if self.password_expires_after_days is None or self.expiry_look_at is None:
            return None
        return keys.by_due("password_expiry", self.expiry_look_at, str(self.node))


class ApiKey(Item, discriminator="api-key"):
    """An API key as its portal sees it."""

    client_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    name = UnicodeAttribute()


class ApiClient(Item, discriminator="api-client"):
    """An API key by its client id: who it is and what its secret has to be."""

    client_id = UnicodeAttribute()
    user_path = UnicodeAttribute()
    user_id = UnicodeAttribute()
    secret_hash = UnicodeAttribute()
    last_used_on = DateAttribute(null=True)


class Federated(Item, discriminator="federated"):
    """Who signs in with an identity at a provider, by the hash of its issuer and subject."""

    identity_hash = UnicodeAttribute()
    provider = UnicodeAttribute()
    """As in the user's sign-in type."""
    user_path = UnicodeAttribute()
    user_id = UnicodeAttribute()


class ProviderSignIn(Item, discriminator="provider-sign-in"):
    """A sign-in on its way through an identity provider, by the hash of its state.

    The code verifier and the nonce are not in it: they are made of the state and of the browser's secret, which are not
    stored either.
    """

    provider = UnicodeAttribute()
    browser_hash = UnicodeAttribute()
    """Of the secret in the cookie of the browser that began it: it alone can end it."""
    callback = UnicodeAttribute()
    """The address that the provider was told to send the browser back to."""
    ends_at = InstantAttribute()


class EmailOwner(Item, discriminator="email"):
    """Who owns an e-mail address: the one place that makes addresses unique over the whole portal."""

    path = UnicodeAttribute()
    """Node of the portal that it belongs to: its user's, its tenant's or both."""
    user_id = UnicodeAttribute(default="")
    """The user who has it; empty when nobody signs in with it."""
    of_tenant = BooleanAttribute(default=False)
    """Whether it is the distributor's, partner's or account's own address."""


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
    epoch = NumberAttribute(default=0)
    """The user's session epoch when it signed in, an API key's its client epoch; of a session that was not entered from
    another one.
    """
    second_factor = BooleanAttribute(default=False)
    """Whether a code was asked for when it was opened; likewise."""
    client_id = UnicodeAttribute(null=True)
    """The API key that opened it, instead of a person."""
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


class SessionOf(Item, discriminator="session-of"):
    """That a user has a session: how they are found, to be listed."""

    session_id = UnicodeAttribute()


class AccessToken(Item, discriminator="token"):
    """An access token by its hash, with what it takes to read everything else about its bearer at once."""

    session_id = UnicodeAttribute()
    client_id = UnicodeAttribute(null=True)
    entered_through = JsonAttribute()
    user_path = UnicodeAttribute()
    user_id = UnicodeAttribute()
    portal_path = UnicodeAttribute()
    ends_at = InstantAttribute()


class Link(Item, discriminator="link"):
    """A one-time link by the hash of its secret."""

    link_hash = UnicodeAttribute()
    purpose = UnicodeAttribute(default="invitation")
    """`invitation`, `password` (forgotten), `email` or `tenant_email` (a new address to be confirmed)."""
    email = UnicodeAttribute()
    """The address it was mailed to, which following it proves."""
    user_path = UnicodeAttribute()
    user_id = UnicodeAttribute()
    ends_at = InstantAttribute()


class Challenge(Item, discriminator="challenge"):
    """A sign-in whose first factor was right and which waits for its next step, by the hash of its token."""

    user_path = UnicodeAttribute()
    user_id = UnicodeAttribute()
    epoch = NumberAttribute()
    """The user's session epoch when it began: a changed password ends it too."""
    method = UnicodeAttribute()
    """What the first factor was: `password`, `google` or `microsoft`."""
    step = UnicodeAttribute()
    """`federated` (nothing more is asked, only the token), `totp`, `password_expired` or `enrol_totp`."""
    second_factor = UnicodeAttribute(null=True)
    """What has been shown besides: `code` or `recovery code`."""
    enrolment = UnicodeAttribute(null=True)
    """The encrypted secret that the authenticator app is to be set up with."""
    wrong_answers = NumberAttribute(default=0)
    ends_at = InstantAttribute()


class FailedSignIn(Item, discriminator="failed-sign-in"):
    """A sign-in with an e-mail address that nobody has: there is no portal whose audit trail could tell of
    it.
    """

    description = UnicodeAttribute()


def folded(email: str) -> str:
    """An e-mail address as it is compared: trimmed and case-folded."""
    return keys.folded(email)


_ADDRESS = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_][\w-]*[^\W_]")


def kept(typed: str) -> str:
    """What is kept of what somebody typed as an e-mail address: the address, folded, or a hash of what has not the form of
    one, because it may be a password in the wrong field.
    """
    address = folded(typed)
    return address if _ADDRESS.fullmatch(address) else hashed(address)


def find_email_owner(email: str) -> EmailOwner | None:
    return find(EmailOwner, *keys.email(folded(email)))


def find_user(home: Node, user_id: str) -> User | None:
    """A user by what a token, a link or an e-mail address says of them, before it is known who is calling."""
    return find(User, keys.node(home), keys.user(user_id))


def find_credentials(user_id: str) -> Credentials | None:
    return find(Credentials, *keys.credentials(user_id))


def find_security(home: Node) -> Security | None:
    """What a portal asks of its users; None when it never said anything."""
    return find(Security, keys.node(home), keys.SECURITY)


def find_federated(identity_hash: str) -> Federated | None:
    return find(Federated, *keys.federated(identity_hash))


def find_provider_sign_in(state_hash: str) -> ProviderSignIn | None:
    return find(ProviderSignIn, *keys.provider(state_hash))


def list_api_keys(scope: Scope, home: Node) -> Iterator[ApiKey]:
    return query(ApiKey, keys.node(scope.reach(home)), keys.api_key())


def get_api_key(scope: Scope, home: Node, client_id: str) -> ApiKey:
    found = find(ApiKey, keys.node(scope.reach(home)), keys.api_key(client_id))
    if found is None:
        raise NotFound
    return found


def find_api_clients(client_ids: Iterable[str]) -> dict[str, ApiClient]:
    """By client id, those that are there."""
    found = find_many(ApiClient, [keys.client(client_id) for client_id in client_ids])
    return {client.client_id: client for client in found.values()}


def mark_used(client: ApiClient, on: date) -> None:
    """That an API key was used on this day: written at its first use only, and not as part of anything else, so that
    those who use it at once do not get into one another's way.
    """
    if client.last_used_on != on:
        note(client, "last_used_on", on)


def find_api_client(client_id: str) -> ApiClient | None:
    return find(ApiClient, *keys.client(client_id))


def find_session(session_id: str) -> Session | None:
    return find(Session, *keys.session(session_id))


def list_sessions_of(user_id: str) -> Iterator[SessionOf]:
    """That a user has sessions; of some, no more than this may be left."""
    return query(SessionOf, keys.of_user(user_id), keys.SESSIONS)


def find_sessions(user_id: str) -> list[Session]:
    """All sessions of a user, ended ones too."""
    found = find_many(Session, (keys.session(each.session_id) for each in list_sessions_of(user_id)))
    return list(found.values())


def find_credentials_of(user_ids: Iterable[str]) -> dict[str, Credentials]:
    """What these users sign in with, by user id; of those who have chosen something."""
    found = find_many(Credentials, map(keys.credentials, user_ids))
    return {credentials.user_id: credentials for credentials in found.values()}


def get_session(session_id: str) -> Session:
    found = find_session(session_id)
    if found is None:
        raise NotFound
    return found


def find_access_token(token_hash: str) -> AccessToken | None:
    return find(AccessToken, *keys.token(token_hash))


def find_link(link_hash: str) -> Link | None:
    return find(Link, *keys.link(link_hash))


def find_challenge(challenge_hash: str) -> Challenge | None:
    return find(Challenge, *keys.challenge(challenge_hash))


def get_user(scope: Scope, home: Node, user_id: str) -> User:
    found = find(User, keys.node(scope.reach(home)), keys.user(user_id))
    if found is None:
        raise NotFound
    return found


def find_users(scope: Scope, home: Node, user_ids: Iterable[str]) -> dict[str, User]:
    """Users of a portal by their ids, those that are there."""
    pk = keys.node(scope.reach(home))
    found = find_many(User, [(pk, keys.user(user_id)) for user_id in user_ids])
    return {user.user_id: user for user in found.values()}


def list_users(scope: Scope, home: Node, after: str = "") -> Iterator[User]:
    """The users of a portal in the order of their ids; those behind `after`, if it is given."""
    behind = keys.user(after) if after else ""
    return query(User, keys.node(scope.reach(home)), keys.user(), after=behind)
