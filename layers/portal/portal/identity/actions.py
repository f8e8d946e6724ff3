"""What several operations need of identity: inviting users, opening sessions, and finding out who a token's
bearer is.
"""

import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from portal import ids, keys
from portal.access import accessible_to, relisted
from portal.accounts.records import Account
from portal.adapters import secrets
from portal.change import Change
from portal.distributors.records import Distributor
from portal.errors import AccessDenied, Conflict, NotPermitted, NotSignedIn
from portal.identity import addresses, ip_restrictions, records, rules, tokens, views
from portal.identity.records import (
    AccessToken,
    ApiClient,
    Credentials,
    EmailTaken,
    FailedSignIn,
    Link,
    Security,
    Session,
    SessionOf,
    User,
)
from portal.journal import Activity, Entry, Message
from portal.notifications.messages import LinkWanted, mail
from portal.partners.records import Partner
from portal.permissions import Permission
from portal.scope import ANONYMOUS, Caller, Origin
from portal.settings import settings
from portal.table import Contended, Delete, Item, Put, Update, Write, expiry, find_many
from portal.tree import Node


class CredentialsMade(Conflict, Contended):
    """Somebody has just made them: read them and decide again."""


_Record = TypeVar("_Record", bound=Item)
_TENANTS = (Distributor, Partner, Account)
RELEASED_AT_ONCE = 15
"""Users whose end fits into one transaction: each takes up to six of its hundred writes."""
_LONGEST_USER_AGENT = 256
_FAILED_SIGN_INS_KEPT_FOR = rules.SESSION_LASTS * 3


# Inviting


@dataclass(frozen=True, slots=True)
class Invitation:
    """What to write and to send so that a portal has a new user, who still has to confirm the address."""

    writes: list[Write]
    messages: list[Message]


def invite(node: Node, email: str, name: str, at: datetime, *, of_tenant: bool = False) -> Invitation:
    """The first administrator of a portal. With `of_tenant` the address is also that of the new tenant itself."""
    user_id = ids.new("usr", at)
    user = User(
        keys.node(node),
        keys.user(user_id),
        user_id=user_id,
        email=email,
        name=name,
        role="administrator",
        permissions=[],
        state="invited",
        created_at=at,
    )
    if of_tenant:
        use = addresses.for_user(user_id) | addresses.FOR_TENANT
        owner = addresses.owned(node, email, use, at)
        return Invitation([Put(user), Put(owner, taken=EmailTaken)], [invitation_mail(user)])
    return invited(user, at)


def invited(user: User, at: datetime) -> Invitation:
    """A new user, and the mail with the link that confirms the address and lets them choose a password.

    The link itself is made when the mail is sent (`renew_link`), so that no secret ever lies in the table or a queue.

    Raises:
        EmailTaken: somebody has the address already; or the writes end in it.
    """
    claimed = addresses.claimed(user.node, user.email, addresses.for_user(user.user_id), at)
    return Invitation([Put(user), claimed], [invitation_mail(user)])


def invite_instead(earlier: list[User], node: Node, email: str, name: str, at: datetime) -> Invitation:
    """An invitation in the place of earlier ones that nobody has followed yet: lost in the mail, or to a
    wrong address.
    """
    same = [user for user in earlier if records.folded(user.email) == records.folded(email)]
    if same:
        return Invitation([], [invitation_mail(user) for user in same])
    invitation = invite(node, email, name, at)
    forgotten = forget(node, earlier)
    return Invitation([*release_users(node, earlier), *invitation.writes], [*invitation.messages, *forgotten])


def invitation_mail(user: User, dedupe: str = "", *, to: str = "") -> Message:
    """The mail that has an invited user confirm its address, or the one that it is just getting (`to`); its link voids
    the earlier ones.
    """
    email = to or user.email
    return mail(
        user.node,
        to=[email],
        template="invitation",
        parameters={"name": user.name, "sign_in_type": user.sign_in_type},
        dedupe=dedupe,
        link=LinkWanted(user_id=user.user_id, purpose="invitation", email=email),
    )


@dataclass(frozen=True, slots=True)
class NewLink:
    address: str
    writes: list[Write]


_LINKS_LEAD_TO = {
    "invitation": "/confirm-email",
    "email": "/confirm-email",
    "tenant_email": "/confirm-email",
    "password": "/reset-password",
}


def renew_link(user: User, purpose: str, email: str, at: datetime) -> NewLink:
    """A one-time link for a user, good for 24 hours from now; it voids the earlier ones of its kind."""
    link, address = new_link(user.node, user.user_id, purpose, email, at)
    return NewLink(address, [Put(link), Update(user, rules.linked(purpose, link.link_hash))])


def new_link(node: Node, user_id: str, purpose: str, email: str, at: datetime) -> tuple[Link, str]:
    """A one-time link, good for 24 hours from now, and the address that it leads to.

    The secret stands behind `#`, so no server on the way sees or logs it, and following the link changes
    nothing: the web portal sends it by POST, together with the password where one is to be chosen.
    """
    token = tokens.LINK + ids.secret()
    link_hash = tokens.hashed(token)
    link = Link(
        *keys.link(link_hash),
        link_hash=link_hash,
        purpose=purpose,
        email=email,
        user_path=str(node),
        user_id=user_id,
        created_at=at,
        ends_at=at + rules.LINK_LASTS,
        expires_at=expiry(at + rules.LINK_LASTS),
    )
    return link, f"{settings.portal_url}{_LINKS_LEAD_TO[purpose]}#token={token}"


def followed(token: str, purposes: Collection[str], origin: Origin) -> tuple[Link, User]:
    """The link with this token and the user it was mailed to. Whoever uses it deletes it, so nobody else can.

    Raises:
        InvalidLink: it is none, is over, is not the latest one, or is for something else.
        AccessDenied: the user's portal lets nobody in from this address; the link stays good.
    """
    link = records.find_link(tokens.hashed(token))
    user = link and records.find_user(Node.parse(link.user_path), link.user_id)
    if not link or not user or link.purpose not in purposes or not rules.is_good(link, user, origin.at):
        raise rules.InvalidLink
    if not ip_restrictions.allowed(records.find_security(user.node), origin.address):
        raise AccessDenied
    return link, user


def release_users(node: Node, users: Sequence[User], *, tenant_email: str = "") -> list[Write]:
    """The end of users of a portal: their addresses are free, unless one is also the tenant's own.

    `tenant_email`: the tenant ends as well, and lets that one go. At most `RELEASED_AT_ONCE` users fit into a
    transaction.

    Send `forget` with it: what they signed in with goes afterwards.
    """
    writes: list[Write] = []
    for user in users:
        writes.append(Delete(user))
        writes += relisted(node, user.user_id, None)
    return [*writes, *addresses.released(node, users, tenant_email=tenant_email)]


def forget(node: Node, users: Iterable[User]) -> list[Message]:
    """The message that has credentials, sessions and API keys of users deleted that were removed from a portal.

    They are worth nothing from the moment the user is gone; only the functions of this domain may touch them.
    """
    user_ids = [user.user_id for user in users]
    return [Message("Forgotten", node, {"node": str(node), "user_ids": user_ids})] if user_ids else []


def credentials_of(user: User, change: Change) -> Write:
    """What changes of a user's credentials, which begin to exist with the first change."""
    known = records.find_credentials(user.user_id)
    if known is not None:
        return Update(known, change)
    return Put(
        Credentials(*keys.credentials(user.user_id), user_id=user.user_id, **change), taken=CredentialsMade
    )


class SecurityMade(Conflict, Contended):
    """Somebody has just made it: read it and decide again."""


def security_of(home: Node, known: Security | None, change: Change) -> Write:
    """What changes of what a portal asks of its users, decided from what was `known` of it."""
    if known is not None:
        return Update(known, change)
    return Put(Security(keys.node(home), keys.SECURITY, **change), taken=SecurityMade)


# Signing in


def acting(user: User, client_id: str = "") -> Caller:
    """A user in its own portal, or an API key of that user, where the request itself shows who it is."""
    return Caller(
        kind="user",
        user_id=user.user_id,
        email=user.email,
        home=user.node,
        portal=user.node,
        client_id=client_id,
    )


def own_user(caller: Caller) -> User:
    """The user who is calling, whatever portal it has entered.

    Raises:
        NotSignedIn: it was removed just now.
    """
    user = records.find_user(caller.home, caller.user_id)
    if user is None:
        raise NotSignedIn
    return user


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session: what to write, and the tokens to answer."""

    writes: list[Write]
    tokens: views.Tokens


def open_session(user: User, origin: Origin, *, second_factor: bool) -> Opened:
    """A session of a user for its own portal. `second_factor`: whether a code was asked for."""
    return _open(
        _New(user.node, user.user_id, user.node, origin.at + rules.SESSION_LASTS),
        origin,
        epoch=int(user.session_epoch),
        second_factor=second_factor,
    )


def open_client_session(client: ApiClient, user: User, origin: Origin) -> Opened:
    """A session of an API key, for the own portal of the user that it belongs to."""
    new = _New(user.node, user.user_id, user.node, origin.at + rules.SESSION_LASTS)
    return _open(new, origin, epoch=int(user.client_epoch), client_id=client.client_id)


def enter(caller: Caller, portal: Node, origin: Origin) -> Opened:
    """A session of the caller for a portal further down, which still names them. Audit it with `accessed`.

    What was entered ends no later than what it was entered from.

    Raises:
        NotSignedIn: the session it is entered from has just ended.
        NotPermitted: there is nothing that the caller may do in there.
    """
    user = own_user(caller)
    if not rules.permissions_in(user, caller.home, portal):
        raise NotPermitted
    entered_from = records.find_session(caller.session_id)
    if entered_from is None or entered_from.revoked_at is not None:
        raise NotSignedIn
    through = [entered_from.session_id, *entered_from.entered_through]
    new = _New(caller.home, caller.user_id, portal, entered_from.ends_at, through)
    return _open(new, origin, client_id=entered_from.client_id)


@dataclass(frozen=True, slots=True)
class _New:
    home: Node
    user_id: str
    portal: Node
    ends_at: datetime
    entered_through: list[str] = field(default_factory=list)


def _open(
    new: _New, origin: Origin, *, epoch: int = 0, second_factor: bool = False, client_id: str | None = None
) -> Opened:
    tag_key = ids.secret()
    refresh = tokens.RefreshToken(ids.new("ses", origin.at), tokens.tagged(ids.secret(), tag_key))
    session = Session(
        *keys.session(refresh.session_id),
        session_id=refresh.session_id,
        user_path=str(new.home),
        user_id=new.user_id,
        portal_path=str(new.portal),
        epoch=epoch,
        second_factor=second_factor,
        client_id=client_id,
        entered_through=new.entered_through,
        tag_key=tag_key,
        refresh_hash=tokens.hashed(refresh.secret),
        address=origin.address or None,
        user_agent=origin.user_agent[:_LONGEST_USER_AGENT] or None,
        created_at=origin.at,
        ends_at=new.ends_at,
        expires_at=expiry(new.ends_at),
    )
    listed = SessionOf(
        *keys.session_of(new.user_id, session.session_id),
        session_id=session.session_id,
        created_at=origin.at,
        expires_at=expiry(new.ends_at),
    )
    access = access_token(session, origin.at)
    # A person looks through its sign-ins; an API key may sign in every minute, and is ended as a whole.
    writes: list[Write] = [Put(session), *([] if client_id else [Put(listed)])]
    return Opened([*writes, *access.writes], access.shown(str(refresh)))


def accessed(caller: Caller, portal: Node, email: str) -> list[Entry]:
    """The audit entries of entering a portal whose tenant has this e-mail address: one on either level."""
    said = f"Accessed account {email}"
    return [Entry(Activity.ACCOUNT_ACCESSED, node, said, email, portal) for node in (caller.portal, portal)]


@dataclass(frozen=True, slots=True)
class NewAccessToken:
    token: str
    lasts: timedelta
    writes: list[Write]

    def shown(self, refresh_token: str) -> views.Tokens:
        return views.tokens(self.token, refresh_token, self.lasts)


def access_token(session: Session, at: datetime) -> NewAccessToken:
    """One more access token of a session."""
    token = tokens.ACCESS + ids.secret()
    lasts = rules.CLIENT_TOKEN_LASTS if session.client_id else rules.ACCESS_TOKEN_LASTS
    ends_at = min(at + lasts, session.ends_at)
    record = AccessToken(
        *keys.token(tokens.hashed(token)),
        session_id=session.session_id,
        client_id=session.client_id,
        entered_through=session.entered_through,
        user_path=session.user_path,
        user_id=session.user_id,
        portal_path=session.portal_path,
        created_at=at,
        ends_at=ends_at,
        expires_at=expiry(ends_at),
    )
    return NewAccessToken(token, ends_at - at, [Put(record)])


def failed_sign_in(email: str, description: str, at: datetime) -> FailedSignIn:
    """What is written of a sign-in with an address that nobody has."""
    return FailedSignIn(
        *keys.failed_sign_in(records.folded(email), at, ids.new("fsi", at)),
        description=description,
        created_at=at,
        expires_at=expiry(at + _FAILED_SIGN_INS_KEPT_FOR),
    )


# Who is calling


def bearer(source: AccessToken | Session) -> rules.Bearer:
    """Everything that a token or session depends on, as it is now, in one batched consistent read."""
    home, portal = Node.parse(source.user_path), Node.parse(source.portal_path)
    session_keys = [keys.session(each) for each in (source.session_id, *source.entered_through)]
    user_key = (keys.node(home), keys.user(source.user_id))
    security_key = (keys.node(home), keys.SECURITY)
    client_keys = [keys.client(source.client_id)] if source.client_id else []
    tenant_keys = _tenant_keys(portal)
    found: dict[tuple[str, str], Item] = find_many(
        Item, [*session_keys, user_key, security_key, *client_keys, *tenant_keys]
    )

    def read(key: tuple[str, str], model: type[_Record]) -> _Record | None:
        return record if isinstance(record := found.get(key), model) else None

    return rules.Bearer(
        user=read(user_key, User),
        sessions=[read(key, Session) for key in session_keys],
        tenants=[_state(found.get(key)) for key in tenant_keys],
        security=read(security_key, Security),
        api_client=next((read(key, ApiClient) for key in client_keys), None),
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who is signing in, and all that decides on it."""

    user: User | None
    credentials: Credentials | None
    security: Security | None
    """What the user's own portal asks of its users."""
    stands: bool
    """Whether that portal and all above it are still there."""


def candidate(home: Node, user_id: str) -> Candidate:
    """Who is signing in, as it is now, in one batched consistent read, which a user that does not exist takes too."""
    user_key, security_key = (keys.node(home), keys.user(user_id)), (keys.node(home), keys.SECURITY)
    credentials_key, tenant_keys = keys.credentials(user_id), _tenant_keys(home)
    found: dict[tuple[str, str], Item] = find_many(
        Item, [user_key, security_key, credentials_key, *tenant_keys]
    )
    user, credentials, security = (found.get(key) for key in (user_key, credentials_key, security_key))
    return Candidate(
        user=user if isinstance(user, User) else None,
        credentials=credentials if isinstance(credentials, Credentials) else None,
        security=security if isinstance(security, Security) else None,
        stands=rules.stands([_state(found.get(key)) for key in tenant_keys]),
    )


def portal_stands(user: User) -> bool:
    """Whether a user's own portal and all above it are still there."""
    wanted = _tenant_keys(user.node)
    found: dict[tuple[str, str], Item] = find_many(Item, wanted)
    return rules.stands([_state(found.get(key)) for key in wanted])


def _tenant_keys(portal: Node) -> list[tuple[str, str]]:
    """Of the portal and what lies above it, as far as there are records of them."""
    above = [Node(*portal.path[:depth]) for depth in range(1, len(portal.path) + 1)]
    return [(keys.node(node), keys.NODE) for node in above if node.account or not node.is_direct]


def _state(tenant: Item | None) -> str | None:
    return None if not isinstance(tenant, _TENANTS) else str(getattr(tenant, "state", "active"))


def standing(source: AccessToken | Session, address: str, now: datetime) -> Caller:
    """Who a token or session speaks for; an anonymous caller, with the reason, when something it depends on
    is over.
    """
    home, portal = Node.parse(source.user_path), Node.parse(source.portal_path)
    found = bearer(source)
    refused = rules.refusal(found, address, now)
    if refused or found.user is None:
        return _refused(refused)
    accessible = None
    if found.user.limited and portal != home:
        at_home = Caller(kind="user", user_id=source.user_id, home=home, portal=home, limited=True)
        accessible = accessible_to(at_home)
    return rules.caller(found.user, portal, source.session_id, source.client_id or "", accessible)


def identify(authorization: str, address: str, now: datetime) -> Caller:
    """Who sends this Authorization header from this IP address; an anonymous caller, with the reason, when it does not
    count.
    """
    scheme, _, token = authorization.strip().partition(" ")
    if not scheme:
        return ANONYMOUS
    if scheme.lower() != "bearer":
        return _refused("token_unknown")
    token = token.strip()
    if token.startswith(tokens.ENGINE):
        return _engine(token)
    record = records.find_access_token(tokens.hashed(token))
    if record is None:
        return _refused("token_unknown")
    if record.ends_at <= now:
        return _refused("token_expired")
    return standing(record, address, now)


def _engine(token: str) -> Caller:
    shown = token.removeprefix(tokens.ENGINE).encode(errors="replace")
    if not hmac.compare_digest(shown, secrets.engine_token()):
        return _refused("token_unknown")
    return Caller(kind="engine", permissions=frozenset({Permission.ENGINE_REPORT}))


def _refused(reason: str) -> Caller:
    return Caller(kind="anonymous", refused=reason)
