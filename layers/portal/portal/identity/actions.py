"""What several operations need of identity: inviting users, opening sessions, and finding out who a token's
bearer is.
"""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from portal import ids, keys
from portal.access import AccessList, accessible_to
from portal.accounts.records import Account
from portal.adapters import secrets
from portal.distributors.records import Distributor
from portal.errors import NotSignedIn
from portal.identity import records, rules, tokens, views
from portal.identity.records import AccessToken, EmailOwner, EmailTaken, FailedSignIn, Link, Session, User
from portal.journal import Activity, Entry, Message
from portal.notifications.messages import mail
from portal.partners.records import Partner
from portal.permissions import Permission
from portal.scope import ANONYMOUS, Caller
from portal.settings import settings
from portal.table import Delete, Item, Put, Update, Write, expiry, find_many, query
from portal.tree import Node

_TENANTS = (Distributor, Partner, Account)
RELEASED_AT_ONCE = 15
"""Users whose end fits into one transaction: each takes up to six of its hundred writes."""
_LONGEST_USER_AGENT = 256
_FAILED_SIGN_INS_KEPT_FOR = rules.SESSION_LASTS * 3


# Inviting


@dataclass(frozen=True, slots=True)
class Invitation:
    """What to write and to send so that a portal has a new administrator, who still has to confirm the
    address.
    """

    writes: list[Write]
    messages: list[Message]


def invite(node: Node, email: str, name: str, at: datetime) -> Invitation:
    """The first administrator of a portal, and the mail with the link that lets them choose a password.

    The writes end in `EmailTaken` when somebody has the address already. The link itself is made when the
    mail is sent (`renew_link`), so that no secret ever lies in the table or a queue.
    """
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
    owner = EmailOwner(*keys.email(records.folded(email)), path=str(node), user_id=user_id, created_at=at)
    return Invitation([Put(user), Put(owner, taken=EmailTaken)], [_invitation_mail(user)])


def invite_instead(earlier: list[User], node: Node, email: str, name: str, at: datetime) -> Invitation:
    """An invitation in the place of earlier ones that nobody has followed yet: lost in the mail, or to a
    wrong address.
    """
    same = [user for user in earlier if records.folded(user.email) == records.folded(email)]
    if same:
        return Invitation([], [_invitation_mail(user) for user in same])
    invitation = invite(node, email, name, at)
    return Invitation([*release_users(earlier), *invitation.writes], invitation.messages)


def _invitation_mail(user: User) -> Message:
    parameters = {"name": user.name}
    return mail(
        user.node, to=[user.email], template="invitation", parameters=parameters, link_for=user.user_id
    )


@dataclass(frozen=True, slots=True)
class NewLink:
    address: str
    writes: list[Write]


def renew_link(user: User, at: datetime) -> NewLink:
    """A one-time link for an invited user, good for 24 hours from now; it voids the earlier ones.

    The secret stands behind `#`, so no server on the way sees or logs it, and following the link changes
    nothing: the web portal sends it by POST together with the password that was chosen.
    """
    token = tokens.LINK + ids.secret()
    link_hash = tokens.hashed(token)
    link = Link(
        *keys.link(link_hash),
        link_hash=link_hash,
        user_path=str(user.node),
        user_id=user.user_id,
        created_at=at,
        ends_at=at + rules.LINK_LASTS,
        expires_at=expiry(at + rules.LINK_LASTS),
    )
    address = f"{settings.portal_url}/confirm-email#token={token}"
    return NewLink(address, [Put(link), Update(user, rules.linked(link_hash))])


def release_users(users: Iterable[User]) -> list[Write]:
    """The end of users: their addresses are free. At most `RELEASED_AT_ONCE` of them fit into a transaction."""
    writes: list[Write] = []
    for user in users:
        writes.append(Delete(user))
        writes += [Delete(part) for part in query(AccessList, user.pk, keys.access_list(user.user_id))]
        owner = records.find_email_owner(user.email)
        if owner is not None and (owner.path, owner.user_id) == (str(user.node), user.user_id):
            writes.append(Delete(owner))
    return writes


# Signing in


@dataclass(frozen=True, slots=True)
class Opened:
    """A new session: what to write, and the tokens to answer."""

    writes: list[Write]
    tokens: views.Tokens


def open_session(
    user: User, portal: Node, *, at: datetime, address: str, user_agent: str, parent: str | None = None
) -> Opened:
    """A session of a user for its own portal, or for one that it enters from the session `parent`.

    What was entered ends no later than what it was entered from.

    Raises:
        NotSignedIn: the parent session has just ended.
    """
    return _open(user.node, user.user_id, portal, at, address, user_agent, parent)


def enter(caller: Caller, portal: Node, *, at: datetime, address: str, user_agent: str) -> Opened:
    """A session of the caller for a portal further down, which still names them. Audit it with `accessed`."""
    return _open(caller.home, caller.user_id, portal, at, address, user_agent, caller.session_id)


def _open(
    home: Node, user_id: str, portal: Node, at: datetime, address: str, user_agent: str, parent: str | None
) -> Opened:
    entered_through: list[str] = []
    ends_at = at + rules.SESSION_LASTS
    if parent is not None:
        entered_from = records.find_session(parent)
        if entered_from is None or entered_from.revoked_at is not None:
            raise NotSignedIn
        entered_through = [parent, *entered_from.entered_through]
        ends_at = entered_from.ends_at
    tag_key = ids.secret()
    refresh = tokens.RefreshToken(ids.new("ses", at), tokens.tagged(ids.secret(), tag_key))
    session = Session(
        *keys.session(refresh.session_id),
        session_id=refresh.session_id,
        user_path=str(home),
        user_id=user_id,
        portal_path=str(portal),
        entered_through=entered_through,
        tag_key=tag_key,
        refresh_hash=tokens.hashed(refresh.secret),
        address=address or None,
        user_agent=user_agent[:_LONGEST_USER_AGENT] or None,
        created_at=at,
        ends_at=ends_at,
        expires_at=expiry(ends_at),
    )
    access = access_token(session, at)
    return Opened([Put(session), *access.writes], views.tokens(access.token, str(refresh)))


def accessed(caller: Caller, portal: Node, email: str) -> list[Entry]:
    """The audit entries of entering a portal whose tenant has this e-mail address: one on either level."""
    said = f"Accessed account {email}"
    return [Entry(Activity.ACCOUNT_ACCESSED, node, said, account=email) for node in (caller.portal, portal)]


@dataclass(frozen=True, slots=True)
class NewAccessToken:
    token: str
    writes: list[Write]


def access_token(session: Session, at: datetime) -> NewAccessToken:
    """One more access token of a session."""
    token = tokens.ACCESS + ids.secret()
    ends_at = min(at + rules.ACCESS_TOKEN_LASTS, session.ends_at)
    record = AccessToken(
        *keys.token(tokens.hashed(token)),
        session_id=session.session_id,
        entered_through=session.entered_through,
        user_path=session.user_path,
        user_id=session.user_id,
        portal_path=session.portal_path,
        created_at=at,
        ends_at=ends_at,
        expires_at=expiry(ends_at),
    )
    return NewAccessToken(token, [Put(record)])


def failed_sign_in(email: str, description: str, at: datetime) -> FailedSignIn:
    """What is written of a sign-in with an address that nobody has."""
    partition, _ = keys.email(records.folded(email))
    return FailedSignIn(
        partition,
        keys.failed_sign_in(at, ids.new("fsi", at)),
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
    tenant_keys = _tenant_keys(portal)
    found: dict[tuple[str, str], Item] = find_many(Item, [*session_keys, user_key, *tenant_keys])
    user = found.get(user_key)
    return rules.Bearer(
        user=user if isinstance(user, User) else None,
        sessions=[
            session if isinstance(session := found.get(key), Session) else None for key in session_keys
        ],
        tenants=[_state(found.get(key)) for key in tenant_keys],
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


def standing(source: AccessToken | Session, now: datetime) -> Caller:
    """Who a token or session speaks for; an anonymous caller, with the reason, when something it depends on
    is over.
    """
    home, portal = Node.parse(source.user_path), Node.parse(source.portal_path)
    found = bearer(source)
    refused = rules.refusal(found, now)
    if refused or found.user is None:
        return _refused(refused)
    accessible = None
    if found.user.limited and portal != home:
        at_home = Caller(kind="user", user_id=source.user_id, home=home, portal=home, limited=True)
        accessible = accessible_to(at_home)
    return rules.caller(found.user, home, portal, source.session_id, accessible)


def identify(authorization: str, now: datetime) -> Caller:
    """Who sends this Authorization header; an anonymous caller, with the reason, when it does not count."""
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
    return standing(record, now)


def _engine(token: str) -> Caller:
    shown = token.removeprefix(tokens.ENGINE).encode(errors="replace")
    if not hmac.compare_digest(shown, secrets.engine_token()):
        return _refused("token_unknown")
    return Caller(kind="engine", permissions=frozenset({Permission.ENGINE_REPORT}))


def _refused(reason: str) -> Caller:
    return Caller(kind="anonymous", refused=reason)
