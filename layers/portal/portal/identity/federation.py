"""Signing in with an identity provider: the way there, the way back, and whose the identity is.

A sign-in is bound to the browser that begins it by a secret in a cookie. From that secret and the state come the nonce and
the PKCE verifier, so what is stored of a sign-in on its way is worth nothing to anybody who reads it, and neither is what
can be read in an address.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from portal import ids, keys
from portal.change import Change
from portal.errors import Conflict, NotFound
from portal.identity import actions, ip_restrictions, oidc, records, rules, tokens
from portal.identity.actions import Candidate
from portal.identity.id_tokens import BadToken, Identity
from portal.identity.records import Federated, ProviderSignIn, User
from portal.journal import Activity, Entry
from portal.scope import ANONYMOUS, Caller, Origin
from portal.settings import settings
from portal.table import Check, Contended, Delete, Put, Update, Write, expiry
from portal.telemetry import logger
from portal.tree import Node

SIGN_IN_LASTS = timedelta(minutes=10)
"""From setting out to coming back."""
_COOKIE = "sign-in"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST = 4_096

# What a sign-in that comes to nothing tells the web portal
EXPIRED = "expired"
"""It took too long, was completed already, or was begun in another browser."""
CANCELLED = "cancelled"
UNAVAILABLE = "provider_unavailable"
FAILED = "sign_in_failed"
"""The identity is nobody's here, or not to sign in with: all the same to whoever asks."""
ACCESS_DENIED = "access_denied"
"""The portal does not let its users come from this address."""


class IdentityMade(Conflict, Contended):
    """Somebody has just linked it: read it and decide again."""


class Returned(BaseModel, extra="ignore"):
    """With what a provider sends the browser back; it may say more."""

    state: str = Field("", max_length=_LONGEST)
    code: str = Field("", max_length=_LONGEST)
    error: str = Field("", max_length=_LONGEST)
    iss: str = Field("", max_length=_LONGEST)


@dataclass(frozen=True, slots=True)
class Going:
    """Where the browser goes next, and what is written before."""

    address: str
    cookie: str = ""
    """As the browser is told to keep it."""
    writes: Sequence[Write] = ()
    entries: Sequence[Entry] = ()
    by: Caller = ANONYMOUS

    @property
    def headers(self) -> dict[str, str]:
        # No page on the way learns the address that it was come from, with what is in it.
        told = {"Location": self.address, "Referrer-Policy": "no-referrer"}
        return told | ({"Set-Cookie": self.cookie} if self.cookie else {})


def provider_of(name: str) -> str:
    """A provider's name, as it stands in a path.

    Raises:
        NotFound: there is no such provider.
    """
    if name not in oidc.PROVIDERS:
        raise NotFound
    return name


def failed(
    code: str, writes: Sequence[Write] = (), entries: Sequence[Entry] = (), by: Caller = ANONYMOUS
) -> Going:
    """Back to the web portal, with nothing."""
    return Going(f"{settings.portal_url}/sign-in#error={code}", "", writes, entries, by)


# The browser


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that signs in, as it is known by its secret; empty when it has none."""

    secret: str

    @property
    def hashed(self) -> str:
        return tokens.hashed(self.secret)

    def derived(self, what: str, state: str) -> str:
        """A value that only this browser's sign-in with this state has."""
        made = hmac.digest(self.secret.encode(), f"{what} {state}".encode(errors="replace"), "sha256")
        return urlsafe_b64encode(made).decode().rstrip("=")


def browser(cookies: str, callback: str) -> Browser:
    """The browser that sends this Cookie header."""
    name = _cookie_name(callback)
    pairs = (each.strip().partition("=") for each in cookies.split(";"))
    found = {value for own, _, value in pairs if own == name}
    # Two of one name: one is not ours, and nobody can say which.
    (secret,) = found if len(found) == 1 else ("",)
    return Browser(secret if _SECRET.fullmatch(secret) else "")


def _cookie_name(callback: str) -> str:
    # With this prefix a browser takes it from this very host alone, encrypted, for all paths: no neighbouring domain can
    # plant one. The local cloud has no https, where browsers refuse the prefix.
    return f"__Host-{_COOKIE}" if callback.startswith("https://") else _COOKIE


def _cookie(callback: str, secret: str, lasts: timedelta) -> str:
    secure = "; Secure" if callback.startswith("https://") else ""
    seconds = int(lasts.total_seconds())
    return f"{_cookie_name(callback)}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"


# There and back


def begin(provider: str, callback: str, known: Browser, now: datetime) -> Going:
    """To the provider's page, which sends the browser back to `callback`."""
    # One that is known already keeps its secret, so that a sign-in in another tab goes on.
    coming = known if known.secret else Browser(ids.secret())
    state = ids.secret()
    try:
        address = oidc.authorization_address(
            provider,
            state=state,
            nonce=coming.derived("nonce", state),
            verifier=coming.derived("verifier", state),
            callback=callback,
            now=now,
        )
    except oidc.ProviderUnavailable as error:
        return _unavailable(provider, error)
    waiting = ProviderSignIn(
        *keys.provider(tokens.hashed(state)),
        provider=provider,
        browser_hash=coming.hashed,
        callback=callback,
        created_at=now,
        ends_at=now + SIGN_IN_LASTS,
        expires_at=expiry(now + SIGN_IN_LASTS),
    )
    return Going(address, _cookie(callback, coming.secret, SIGN_IN_LASTS), [Put(waiting)])


def find_begun(provider: str, state: str, coming: Browser, now: datetime) -> ProviderSignIn | None:
    """The sign-in that comes back with this state in this browser, if it was begun there and is not over.

    Delete it before anything else is done with it: it is good once, whatever comes of it.
    """
    begun = records.find_provider_sign_in(tokens.hashed(state))
    if begun is None or begun.provider != provider or begun.ends_at <= now or not coming.secret:
        return None
    return begun if hmac.compare_digest(begun.browser_hash, coming.hashed) else None


def identify(begun: ProviderSignIn, returned: Returned, coming: Browser, now: datetime) -> Identity | Going:
    """Who has signed in at the provider; or the way back, when that did not come about."""
    provider = begun.provider
    if returned.error or not returned.code:
        return failed(CANCELLED if returned.error == "access_denied" else FAILED)
    try:
        if returned.iss and not oidc.is_from(provider, returned.iss, now):
            raise BadToken("issuer of the answer")
        return oidc.redeem(
            provider,
            returned.code,
            nonce=coming.derived("nonce", returned.state),
            verifier=coming.derived("verifier", returned.state),
            callback=begun.callback,
            now=now,
        )
    except oidc.ProviderUnavailable as error:
        return _unavailable(provider, error)
    except (oidc.CodeRefused, BadToken) as error:
        logger.info("refused what a provider said", extra={"provider": provider, "reason": str(error)})
        return failed(FAILED)


def _unavailable(provider: str, error: oidc.ProviderUnavailable) -> Going:
    logger.warning("provider unavailable", extra={"provider": provider, "reason": str(error)})
    return failed(UNAVAILABLE)


# Whose identity it is


def sign_in(identity: Identity, provider: str, origin: Origin) -> Going:
    """On to the web portal, with a challenge for the user whose identity it is; or back, with nothing.

    The first time, that is the user with the e-mail address that the provider has verified, if it is to sign in there and
    has no other identity: from then on they belong together, whatever addresses either has.
    """
    stored = records.find_federated(identity.hashed)
    linked_to = _linked_to(stored) if stored is not None else None
    linked = stored if linked_to else None
    found = linked_to or _claimant(identity)
    user, email = found.user, _portals_own_form(identity.email)
    if user is None:
        described = _described(provider, origin, completed=False)
        unknown = [Put(actions.failed_sign_in(email, described, origin.at))] if email else []
        return failed(FAILED, unknown)
    if not _may_sign_in(found, user, linked, provider):
        return _refused(FAILED, user, provider, origin)
    if not ip_restrictions.allowed(found.security, origin.address):
        return _refused(ACCESS_DENIED, user, provider, origin)
    # Imported here: only the end of a sign-in needs it, with all that challenges are made of.
    from portal.identity import challenges

    new = _Linking(identity, provider, stored)
    writes, entries = ([], []) if linked else _linking(found, user, new, origin.at)
    challenge = challenges.begin(user, "federated", origin, provider)
    address = f"{settings.portal_url}/signed-in#challenge={challenge.token}"
    return Going(address, "", [*writes, *challenge.writes], entries, actions.acting(user))


def _linked_to(stored: Federated) -> Candidate | None:
    """Whose an identity is: nobody's any more once its user is to sign in another way, even if it is to sign in this way
    again later. It stays that of a user who is gone, until all that is theirs is deleted.
    """
    found = actions.candidate(Node.parse(stored.user_path), stored.user_id)
    own = rules.federated_hash_of(found.user, found.credentials) if found.user else stored.identity_hash
    return found if own == stored.identity_hash else None


def _claimant(identity: Identity) -> Candidate:
    """Whose an identity may be that is nobody's yet: of who has the e-mail address."""
    owner = records.find_email_owner(email) if (email := _portals_own_form(identity.email)) else None
    if owner is None or not owner.user_id:
        return Candidate(None, None, None, stands=False)
    found = actions.candidate(Node.parse(owner.path), owner.user_id)
    # An address that a user is yet to confirm is taken, but not theirs. Nor is one that is merely reserved with theirs.
    is_theirs = found.user is not None and rules.same_address(email, found.user.email)
    return found if is_theirs else Candidate(None, None, None, stands=False)


def _portals_own_form(email: str) -> str:
    """An address as the portal's users have theirs; nothing if none can have it.

    Above all, no letter beyond ASCII before the `@`: folding case makes some of them into others.
    """
    from portal.identity.emails import Email

    try:
        return TypeAdapter(Email).validate_python(email)
    except ValidationError:
        return ""


def _may_sign_in(found: Candidate, user: User, linked: Federated | None, provider: str) -> bool:
    """Whether a user may sign in with an identity that is linked, to that user, or to nobody yet."""
    if not found.stands or user.sign_in_type != provider:
        return False
    if linked is not None:
        return user.state == "active"
    own = rules.federated_hash_of(user, found.credentials)
    return user.state in ("active", "invited") and _earlier(own, provider) is None


def _earlier(own: str | None, provider: str) -> Federated | None:
    """The identity that a user has at this provider already."""
    earlier = records.find_federated(own) if own else None
    return earlier if earlier is not None and earlier.provider == provider else None


@dataclass(frozen=True, slots=True)
class _Linking:
    """An identity that is to be a user's."""

    identity: Identity
    provider: str
    stored: Federated | None
    """Whose it was before, and is not any more."""

    def linked(self, user: User, now: datetime) -> Write:
        whose = Change(provider=self.provider, user_path=str(user.node), user_id=user.user_id)
        if self.stored is not None:
            return Update(self.stored, whose)
        key = keys.federated(self.identity.hashed)
        new = Federated(*key, identity_hash=self.identity.hashed, created_at=now, **whose)
        return Put(new, taken=IdentityMade)


def _linking(found: Candidate, user: User, new: _Linking, now: datetime) -> tuple[list[Write], list[Entry]]:
    """What makes an identity a user's, in the place of an earlier one, and confirms who was invited."""
    earlier = found.credentials.federated_hash if found.credentials else None
    let_go = records.find_federated(earlier) if earlier and earlier != new.identity.hashed else None
    # It may have become another user's.
    gone = [Delete(let_go)] if let_go is not None and let_go.user_id == user.user_id else []
    own = actions.credentials_of(user, rules.with_identity(user, new.identity.hashed))
    invited = user.state == "invited"
    # Linked only as long as it is the user with this address, to sign in this way.
    still = Update(user, rules.confirm()) if invited else Check(user)
    how = "Confirmed e-mail address" if invited else "Linked"
    entry = Entry(Activity.USER_MANAGEMENT, user.node, f"{how} {user.email} with {new.provider.capitalize()}")
    return [new.linked(user, now), own, still, *gone], [entry]


def _refused(code: str, user: User, provider: str, origin: Origin) -> Going:
    described = _described(provider, origin, completed=False)
    entry = Entry(Activity.SIGN_IN, user.node, described, completed=False)
    return failed(code, entries=[entry], by=actions.acting(user))


def _described(provider: str, origin: Origin, *, completed: bool) -> str:
    return rules.sign_in_description(
        completed=completed, user_agent=origin.user_agent, address=origin.address, method=provider
    )
