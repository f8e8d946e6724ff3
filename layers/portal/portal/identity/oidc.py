"""The identity providers, as OpenID Connect has it: authorization code with PKCE.

What a provider says of itself (its addresses, its keys) is kept for a while in each process.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import urlencode

from portal.adapters import secrets
from portal.adapters.web import NotAllowed, Unanswered, Web, target
from portal.identity.id_tokens import BadToken, Expected, Identity, UnknownKey, identity
from portal.settings import settings

_KEPT_FOR = timedelta(hours=1)
_KEYS_READ_AGAIN_AFTER = timedelta(minutes=1)
"""For a token that names a key which was not there: providers change keys now and then, attackers make ids up."""
_VERIFIED_BY: dict[str, Literal["email_verified", "xms_edov"]] = {
    "google": "email_verified",
    "microsoft": "xms_edov",
}
PROVIDERS = tuple(_VERIFIED_BY)
_TENANTS = ("/common/", "/organizations/")
"""Where Microsoft's issuer stands for those of all its tenants."""
_WEB = Web(seconds=5)
"""Four calls, the most that a sign-in takes, fit into the time of a function."""


class ProviderUnavailable(Exception):
    """The provider is not set up, does not answer, or does not want the portal. The text says what, and no secret."""


class CodeRefused(Exception):
    """The provider does not know the code (any more)."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    read_at: datetime


@dataclass(frozen=True, slots=True)
class _Keys:
    keys: list[Any]
    read_at: datetime


_metadata: dict[str, Metadata] = {}
_keys: dict[str, _Keys] = {}


def forget() -> None:
    """Read everything anew when it is needed next."""
    _metadata.clear()
    _keys.clear()


def authorization_address(
    provider: str, *, state: str, nonce: str, verifier: str, callback: str, now: datetime
) -> str:
    """Where the browser goes to sign in.

    Raises:
        ProviderUnavailable
    """
    known = _known(provider, now)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
    asked = {
        "response_type": "code",
        "client_id": settings.providers[provider].client_id,
        "redirect_uri": callback,
        "scope": "openid email",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        # Somebody with several accounts says which one.
        "prompt": "select_account",
    }
    joint = "&" if "?" in known.authorization_endpoint else "?"
    return f"{known.authorization_endpoint}{joint}{urlencode(asked)}"


def is_from(provider: str, issuer: str, now: datetime) -> bool:
    """Whether an answer that names its issuer (RFC 9207) came from this provider.

    Raises:
        ProviderUnavailable
    """
    wanted = _known(provider, now).issuer
    before, tenant, after = wanted.partition("{tenantid}")
    return issuer == wanted if not tenant else issuer.startswith(before) and issuer.endswith(after)


def redeem(provider: str, code: str, *, nonce: str, verifier: str, callback: str, now: datetime) -> Identity:
    """Who the code that a browser came back with stands for.

    Raises:
        ProviderUnavailable
        CodeRefused
        BadToken: what the provider gave for it proves nothing.
    """
    known = _known(provider, now)
    given = _exchanged(known, provider, code, verifier, callback)
    token, access_token = given.get("id_token"), given.get("access_token")
    if not isinstance(token, str):
        raise BadToken("none")
    expected = Expected(
        issuer=known.issuer,
        client_id=settings.providers[provider].client_id,
        nonce=nonce,
        access_token=access_token if isinstance(access_token, str) else None,
        verified_by=_VERIFIED_BY[provider],
    )
    try:
        return identity(token, _keys_of(known, now, _KEPT_FOR), expected, now)
    except UnknownKey:
        return identity(token, _keys_of(known, now, _KEYS_READ_AGAIN_AFTER), expected, now)


def _exchanged(known: Metadata, provider: str, code: str, verifier: str, callback: str) -> dict[str, Any]:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback,
        "client_id": settings.providers[provider].client_id,
        "client_secret": secrets.provider_secret(provider),
        "code_verifier": verifier,
    }
    try:
        answer = _WEB.call("POST", known.token_endpoint, form=form)
        given = answer.json()
    except (NotAllowed, Unanswered) as error:
        raise ProviderUnavailable(f"token: {error}") from None
    if answer.status == 400 and isinstance(given, dict) and given.get("error") == "invalid_grant":
        raise CodeRefused
    if answer.status != 200 or not isinstance(given, dict):
        raise ProviderUnavailable(f"token: status {answer.status}")
    return given


def _known(provider: str, now: datetime) -> Metadata:
    configured = settings.providers[provider]
    if not configured.client_id:
        raise ProviderUnavailable("not set up")
    known = _metadata.get(configured.issuer)
    if known is None or not _is_fresh(known.read_at, now, _KEPT_FOR):
        known = _metadata[configured.issuer] = _read_metadata(configured.issuer, now)
    return known


def _read_metadata(issuer: str, now: datetime) -> Metadata:
    said = _read(f"{issuer}/.well-known/openid-configuration")
    found = Metadata(
        issuer=str(said.get("issuer")),
        authorization_endpoint=str(said.get("authorization_endpoint")),
        token_endpoint=str(said.get("token_endpoint")),
        jwks_uri=str(said.get("jwks_uri")),
        read_at=now,
    )
    if found.issuer not in _names_of(issuer):
        raise ProviderUnavailable("metadata: another issuer")
    try:
        for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            target(address)
    except NotAllowed as error:
        raise ProviderUnavailable(f"metadata: {error}") from None
    return found


def _names_of(issuer: str) -> list[str]:
    """How a provider that is found below this address may call itself."""
    of_tenants = [issuer.replace(part, "/{tenantid}/") for part in _TENANTS if part in issuer]
    return of_tenants or [issuer]


def _keys_of(known: Metadata, now: datetime, kept_for: timedelta) -> list[Any]:
    """The provider's keys, as they were no longer ago."""
    found = _keys.get(known.jwks_uri)
    if found is None or not _is_fresh(found.read_at, now, kept_for):
        keys = _read(known.jwks_uri).get("keys")
        found = _keys[known.jwks_uri] = _Keys(keys if isinstance(keys, list) else [], now)
    return found.keys


def _read(address: str) -> dict[str, Any]:
    try:
        answer = _WEB.call("GET", address)
        said = answer.json()
    except (NotAllowed, Unanswered) as error:
        raise ProviderUnavailable(f"metadata: {error}") from None
    if answer.status != 200 or not isinstance(said, dict):
        raise ProviderUnavailable(f"metadata: status {answer.status}")
    return said


def _is_fresh(read_at: datetime, now: datetime, kept_for: timedelta) -> bool:
    # The clock of a local cloud can be moved back as well.
    return timedelta(0) <= now - read_at < kept_for
