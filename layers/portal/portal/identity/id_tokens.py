"""ID tokens of OpenID Connect: what has to be true of one before anything in it is believed.

Nothing the token says of itself decides how it is checked: the algorithms, the keys and the issuer are known before.
"""

import hashlib
import hmac
import math
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

ALGORITHMS = {"RS256": "RSA", "ES256": "EC"}
"""Which are accepted, and the type of key of each. Only such whose keys the provider alone has."""
LONGEST = 16 * 1024
"""Characters."""
LEEWAY = timedelta(seconds=60)
"""By which the provider's clock may differ."""
_LONGEST_SUBJECT = 255
_SMALLEST_RSA_KEY = 2_048
_TENANT = "{tenantid}"
_TENANT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NOT_UNDERSTOOD = ("crit", "b64", "zip", "cty", "jwk", "jku", "x5c", "x5u")
"""Headers that bring a key along, or change what the token means."""
_PUBLIC_PARTS = ("kty", "n", "e", "crv", "x", "y")
_NEEDED = ["iss", "sub", "aud", "exp", "iat", "nonce"]
_TRUE = (True, "true", "1")


class BadToken(Exception):
    """The token proves nothing. The text says why, and nothing of what is in it."""


class UnknownKey(BadToken):
    """It names a key that the provider did not have when its keys were read."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to be, for the sign-in that it answers."""

    issuer: str
    """The provider's own, to the letter; with `{tenantid}` in it, the one of the tenant that the token names."""
    client_id: str
    nonce: str
    access_token: str | None
    """The one that came with it."""
    verified_by: Literal["email_verified", "xms_edov"]
    """The claim by which this provider says that the e-mail address is the user's. Microsoft's `email` alone may be
    anything that a tenant's administrator typed in; `xms_edov` says that the address's domain is that tenant's."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in at a provider."""

    issuer: str
    subject: str
    email: str
    """Empty unless the provider has verified it."""

    @property
    def hashed(self) -> str:
        """Issuer and subject as they are stored."""
        return hashlib.sha256(f"{self.issuer}\n{self.subject}".encode()).hexdigest()


def identity(token: str, jwks: Sequence[Any], expected: Expected, now: datetime) -> Identity:
    """Whose ID token this is, checked with the provider's keys (JSON Web Keys, as they were read).

    Raises:
        BadToken: it is not the provider's, not for this portal, not for this sign-in, or not of this time.
    """
    # Imported here: only the end of a sign-in at a provider needs it.
    import jwt

    if len(token) > LONGEST or not token.isascii():
        raise BadToken("form")
    try:
        header = jwt.get_unverified_header(token)
        known = _key(header, jwks)
        key = jwt.PyJWK({part: known[part] for part in _PUBLIC_PARTS if part in known}, header["alg"])
        if known["kty"] == "RSA" and key.key.key_size < _SMALLEST_RSA_KEY:
            raise BadToken("key size")
        claims = jwt.decode(
            token,
            key,
            algorithms=[header["alg"]],
            audience=expected.client_id,
            # Times are compared with the portal's clock below.
            options={
                "require": _NEEDED,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_iss": False,
            },
        )
    except jwt.PyJWTError as error:
        raise BadToken(type(error).__name__) from None
    _check_issuer(claims, known, expected)
    _check_party(claims, expected)
    _check_times(claims, now)
    _check_binding(claims, expected)
    return Identity(claims["iss"], _subject(claims), _verified_email(claims, expected))


def _key(header: Mapping[str, Any], jwks: Sequence[Any]) -> Mapping[str, Any]:
    """The one key that the token can have been signed with."""
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise BadToken("algorithm")
    if str(header.get("typ", "JWT")).upper() != "JWT" or any(name in header for name in _NOT_UNDERSTOOD):
        raise BadToken("header")
    named = [key for key in jwks if isinstance(key, dict) and (key_id is None or key.get("kid") == key_id)]
    if key_id is not None and not named:
        raise UnknownKey("key id")
    usable = [key for key in named if _may_sign(key, algorithm)]
    if len(usable) != 1:
        raise BadToken("key")
    return usable[0]


def _may_sign(key: Mapping[str, Any], algorithm: str) -> bool:
    return (
        key.get("kty") == ALGORITHMS[algorithm]
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
        and key.get("crv", "P-256") == "P-256"
        and "verify" in key.get("key_ops", ["verify"])
    )


def _check_issuer(claims: Mapping[str, Any], key: Mapping[str, Any], expected: Expected) -> None:
    wanted, of_key = expected.issuer, key.get("issuer", claims["iss"])
    if _TENANT in wanted:
        tenant = claims.get("tid")
        if not isinstance(tenant, str) or not _TENANT_ID.fullmatch(tenant):
            raise BadToken("tenant")
        wanted = wanted.replace(_TENANT, tenant)
        # Some of Microsoft's keys are for some tenants alone.
        of_key = str(of_key).replace(_TENANT, tenant)
    if claims["iss"] != wanted or of_key != wanted:
        raise BadToken("issuer")


def _check_party(claims: Mapping[str, Any], expected: Expected) -> None:
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (several or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise BadToken("authorized party")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    at, leeway = now.timestamp(), LEEWAY.total_seconds()
    if _seconds(claims["exp"]) <= at - leeway:
        raise BadToken("expired")
    if _seconds(claims["iat"]) > at + leeway or _seconds(claims.get("nbf", 0)) > at + leeway:
        raise BadToken("not yet")


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadToken("time")
    return value


def _check_binding(claims: Mapping[str, Any], expected: Expected) -> None:
    """That it answers this sign-in, and came with this access token."""
    nonce = claims["nonce"]
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise BadToken("nonce")
    if "at_hash" in claims and claims["at_hash"] != _half_hash(expected.access_token or ""):
        raise BadToken("access token")


def _half_hash(access_token: str) -> str:
    half = hashlib.sha256(access_token.encode(errors="replace")).digest()[:16]
    return urlsafe_b64encode(half).decode().rstrip("=")


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isascii():
        raise BadToken("subject")
    return subject


def _verified_email(claims: Mapping[str, Any], expected: Expected) -> str:
    said = claims.get(expected.verified_by)
    # Google says it as JSON has it; Microsoft's comes in several spellings.
    is_verified = said is True if expected.verified_by == "email_verified" else said in _TRUE
    email = claims.get("email")
    return email if is_verified and isinstance(email, str) else ""
