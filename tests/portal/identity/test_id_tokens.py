"""An ID token is believed when everything about it is right, and not when a single thing is wrong."""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from portal.identity.id_tokens import LONGEST, BadToken, Expected, Identity, UnknownKey, identity
from tests.identity_provider import TENANT, ec_key, half_hash, jwk, rsa_key

NOW = datetime(2023, 1, 10, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
EMAIL = "gina@north.example.com"
GOOGLE = Expected("https://accounts.google.com", "portal", "the nonce", "access", "email_verified")
MICROSOFT = Expected(
    "https://login.microsoftonline.com/{tenantid}/v2.0", "portal", "the nonce", "access", "xms_edov"
)
OF_TENANT = MICROSOFT.issuer.replace("{tenantid}", TENANT)
RSA, EC = jwk(rsa_key("google"), "rsa", alg="RS256"), jwk(ec_key("google"), "ec", alg="ES256")
KEYS = [RSA, EC]
CLAIMS = {
    "iss": GOOGLE.issuer,
    "sub": "1234567890",
    "aud": "portal",
    "iat": AT,
    "exp": AT + 3_600,
    "nonce": "the nonce",
    "email": EMAIL,
    "email_verified": True,
}
MICROSOFTS = CLAIMS | {"iss": OF_TENANT, "tid": TENANT, "xms_edov": True, "nbf": AT}
GONE = object()


def claims(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in (CLAIMS | changed).items() if value is not GONE}


def microsofts(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in (MICROSOFTS | changed).items() if value is not GONE}


def signed(said: dict[str, Any] = CLAIMS, header: dict[str, Any] | None = None, name: str = "google") -> str:
    return jwt.encode(said, rsa_key(name), "RS256", {"kid": "rsa", **(header or {})})


def raw(header: dict[str, Any], said: dict[str, Any] | bytes, sign: Callable[[bytes], bytes]) -> str:
    """A token of one's own making, past all that a library would refuse to make."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    head = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in (json.dumps(header).encode(), body))
    return (head + b"." + urlsafe_b64encode(sign(head)).rstrip(b"=")).decode()


def rightly(head: bytes) -> bytes:
    """Signed with Google's key."""
    return jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(head, rsa_key("google"))


def by_secret(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda head: hmac.digest(secret, head, "sha256")


PEM = rsa_key("google").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HEADER = {"alg": "RS256", "kid": "rsa", "typ": "JWT"}


def swapped(token: str, **changed: Any) -> str:
    """Other claims under the same signature."""
    head, _, signature = token.split(".")
    body = urlsafe_b64encode(json.dumps(claims(**changed)).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


BAD: dict[str, str] = {
    # Signatures
    "signed by another": signed(name="mallory"),
    "other claims under the signature": swapped(signed(), sub="0987654321"),
    "cut signature": signed()[:-10],
    "no signature": signed().rpartition(".")[0] + ".",
    "alg none": raw({"alg": "none", "kid": "rsa"}, CLAIMS, lambda head: b""),
    "alg None": raw({"alg": "None", "kid": "rsa"}, CLAIMS, lambda head: b""),
    "alg none under a signature": raw({"alg": "none", "kid": "rsa"}, CLAIMS, rightly),
    "no alg": raw({"kid": "rsa"}, CLAIMS, rightly),
    "alg a list": raw({"alg": ["RS256"], "kid": "rsa"}, CLAIMS, rightly),
    "HS256 with the public key": raw({"alg": "HS256", "kid": "rsa"}, CLAIMS, by_secret(PEM)),
    "HS256 with the modulus": raw({"alg": "HS256", "kid": "rsa"}, CLAIMS, by_secret(urlsafe_b64decode(RSA["n"] + "=="))),
    "HS256 with the client's id": raw({"alg": "HS256", "kid": "rsa"}, CLAIMS, by_secret(b"portal")),
    "HS256 with nothing": raw({"alg": "HS256", "kid": "rsa"}, CLAIMS, by_secret(b"")),
    "RS384": jwt.encode(CLAIMS, rsa_key("google"), "RS384", {"kid": "rsa"}),
    "PS256": jwt.encode(CLAIMS, rsa_key("google"), "PS256", {"kid": "rsa"}),
    "ES256 by another": jwt.encode(CLAIMS, ec_key("mallory"), "ES256", {"kid": "ec"}),
    # Keys
    "an unknown key": signed(header={"kid": "nobody"}),
    "another's key id": jwt.encode(CLAIMS, ec_key("google"), "ES256", {"kid": "rsa"}),
    "RS256 with the key of ES256": signed(header={"kid": "ec"}),
    "key id a path": signed(header={"kid": "../../dev/null"}),
    "key id empty": signed(header={"kid": ""}),
    "key id no text": raw({**HEADER, "kid": 1}, CLAIMS, rightly),
    "key id null": raw({**HEADER, "kid": None}, CLAIMS, rightly),
    "no key id of several keys": jwt.encode(CLAIMS, rsa_key("mallory"), "RS256"),
    "its own key": signed(header={"kid": "rsa", "jwk": jwk(rsa_key("mallory"), "rsa")}, name="mallory"),
    "its own key, rightly signed": signed(header={"jwk": RSA}),
    "an address of keys": signed(header={"jku": "https://mallory.example.com/jwks"}, name="mallory"),
    "an address of keys, rightly signed": signed(header={"jku": "https://accounts.google.com/jwks"}),
    "an address of certificates": signed(header={"x5u": "https://mallory.example.com/x5u"}, name="mallory"),
    "certificates of its own": signed(header={"x5c": ["MIIB"]}, name="mallory"),
    # Headers
    "critical and not understood": signed(header={"crit": ["exp"]}),
    "critical and empty": raw({**HEADER, "crit": []}, CLAIMS, rightly),
    "critical b64": raw({**HEADER, "crit": ["b64"], "b64": True}, CLAIMS, rightly),
    "compressed": signed(header={"zip": "DEF"}),
    "a token in a token": signed(header={"cty": "JWT"}),
    "an access token": signed(header={"typ": "at+jwt"}),
    "a logout token": signed(header={"typ": "logout+jwt"}),
    "typ no text": raw({**HEADER, "typ": ["JWT"]}, CLAIMS, rightly),
    # Form
    "nothing": "",
    "no token": "nonsense",
    "two parts": "a.b",
    "four parts": signed() + ".x",
    "five parts": "a.b.c.d.e",
    "not ASCII": signed() + "\u00e9",
    "blanks": " " + signed(),
    "oversized": signed(claims(padding="x" * LONGEST)),
    "header a list": raw([], CLAIMS, rightly),  # type: ignore[arg-type]
    "claims a list": raw(HEADER, b"[]", rightly),
    "claims a text": raw(HEADER, b'"x"', rightly),
    "claims no JSON": raw(HEADER, b"{", rightly),
    "claims no text": raw(HEADER, b"\xff\xfe", rightly),
    # Who it is from and for
    "another issuer": signed(claims(iss="https://accounts.example.com")),
    "issuer with a slash": signed(claims(iss="https://accounts.google.com/")),
    "issuer without https": signed(claims(iss="accounts.google.com")),
    "issuer that begins alike": signed(claims(iss="https://accounts.google.com.mallory.example.com")),
    "issuer in capitals": signed(claims(iss="https://Accounts.google.com")),
    "issuer a list": raw(HEADER, claims(iss=["https://accounts.google.com"]), rightly),
    "no issuer": signed(claims(iss=GONE)),
    "Microsoft's": signed(microsofts()),
    "for another": signed(claims(aud="another")),
    "for several others": signed(claims(aud=["another", "third"])),
    "for nobody": signed(claims(aud=[])),
    "no audience": signed(claims(aud=GONE)),
    "audience a number": signed(claims(aud=1)),
    "audience with a number in it": signed(claims(aud=["portal", 1], azp="portal")),
    "for one that begins alike": signed(claims(aud="portal-2")),
    "for several, got by nobody": signed(claims(aud=["portal", "another"])),
    "for several, got by another": signed(claims(aud=["portal", "another"], azp="another")),
    "got by another": signed(claims(azp="another")),
    "got by nobody": signed(claims(azp=None)),
    # Time
    "expired": signed(claims(exp=AT - 60)),
    "expired long ago": signed(claims(iat=AT - 90_000, exp=AT - 86_400)),
    "of the future": signed(claims(iat=AT + 61, exp=AT + 3_600)),
    "not to be used before": signed(claims(nbf=AT + 61)),
    "never expires": signed(claims(exp=GONE)),
    "never issued": signed(claims(iat=GONE)),
    "expires as text": signed(claims(exp=str(AT + 3_600))),
    "expires true": signed(claims(exp=True)),
    "expires null": signed(claims(exp=None)),
    "expires NaN": raw(HEADER, json.dumps(CLAIMS).replace(str(AT + 3_600), "NaN").encode(), rightly),
    "expires Infinity": raw(HEADER, json.dumps(CLAIMS).replace(str(AT + 3_600), "Infinity").encode(), rightly),
    "expires 1e999": raw(HEADER, json.dumps(CLAIMS).replace(str(AT + 3_600), "1e999").encode(), rightly),
    "not before a list": raw(HEADER, claims(nbf=[AT]), rightly),
    # The sign-in that it answers
    "no nonce": signed(claims(nonce=GONE)),
    "another nonce": signed(claims(nonce="another nonce")),
    "empty nonce": signed(claims(nonce="")),
    "nonce a list": signed(claims(nonce=["the nonce"])),
    "nonce not ASCII": signed(claims(nonce="the n\u00f6nce")),
    "of another access token": signed(claims(at_hash=half_hash("another"))),
    "of no access token": signed(claims(at_hash="")),
    # Whose it is
    "no subject": signed(claims(sub=GONE)),
    "empty subject": signed(claims(sub="")),
    "subject null": signed(claims(sub=None)),
    "subject a number": raw(HEADER, claims(sub=1), rightly),
    "subject too long": signed(claims(sub="x" * 256)),
    "subject not ASCII": signed(claims(sub="\u0131")),
}  # fmt: skip


@pytest.mark.parametrize("token", BAD.values(), ids=BAD)
def test_what_is_wrong_is_refused(token: str) -> None:
    with pytest.raises(BadToken) as raised:
        identity(token, KEYS, GOOGLE, NOW)
    assert not set(str(raised.value).split()) & {EMAIL, "1234567890", "portal"}


def test_there_are_enough_of_them() -> None:
    assert len(set(BAD.values())) == len(BAD) >= 60


GOOD = {
    "plain": signed(),
    "ES256": jwt.encode(CLAIMS, ec_key("google"), "ES256", {"kid": "ec"}),
    "for several, got by the portal": signed(claims(aud=["another", "portal"], azp="portal")),
    "with the access token's hash": signed(claims(at_hash=half_hash("access"))),
    "issued by a clock that is ahead": signed(claims(iat=AT + 60, nbf=AT + 60)),
    "just expired by a clock that is behind": signed(claims(exp=AT - 59)),
    "without typ": raw({"alg": "RS256", "kid": "rsa"}, CLAIMS, rightly),
    "typ in small letters": signed(header={"typ": "jwt"}),
    "with headers that mean nothing": signed(header={"x5t": "abc"}),
    "fractions of seconds": signed(claims(iat=AT - 0.5, exp=AT + 0.5)),
}


@pytest.mark.parametrize("token", GOOD.values(), ids=GOOD)
def test_what_is_right_says_who_it_is(token: str) -> None:
    assert identity(token, KEYS, GOOGLE, NOW) == Identity(GOOGLE.issuer, "1234567890", EMAIL)


def test_it_is_believed_until_it_expires() -> None:
    expires_at = NOW + timedelta(hours=1, seconds=60)
    assert identity(signed(), KEYS, GOOGLE, expires_at - timedelta(milliseconds=1)).subject == "1234567890"
    with pytest.raises(BadToken):
        identity(signed(), KEYS, GOOGLE, expires_at)


# The address


@pytest.mark.parametrize(
    "said",
    [
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email_verified": GONE},
        {"email_verified": GONE, "xms_edov": True},
        {"email": GONE, "preferred_username": EMAIL},
        {"email": None},
        {"email": [EMAIL]},
    ],
)
def test_google_has_to_have_verified_an_address(said: dict[str, Any]) -> None:
    assert identity(signed(claims(**said)), KEYS, GOOGLE, NOW).email == ""


@pytest.mark.parametrize("yes", [True, 1, "1", "true"])
def test_microsoft_says_in_several_ways_that_an_address_is_its_users(yes: Any) -> None:
    said = microsofts(xms_edov=yes, email_verified=GONE)
    assert identity(signed(said), KEYS, MICROSOFT, NOW) == Identity(OF_TENANT, "1234567890", EMAIL)


@pytest.mark.parametrize(
    "said",
    [
        {"xms_edov": GONE},
        {"xms_edov": False},
        {"xms_edov": 0},
        {"xms_edov": "0"},
        {"xms_edov": "false"},
        {"xms_edov": None},
        {"xms_edov": [True]},
        {"xms_edov": GONE, "email_verified": True},
        {"email": GONE, "preferred_username": EMAIL, "upn": EMAIL},
    ],
)
def test_what_a_tenants_administrator_typed_in_is_no_verified_address(said: dict[str, Any]) -> None:
    assert identity(signed(microsofts(**said)), KEYS, MICROSOFT, NOW).email == ""


# Microsoft's tenants

OTHER = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    "said",
    [
        {"tid": OTHER},
        {"tid": GONE},
        {"tid": ""},
        {"tid": [TENANT]},
        {"tid": TENANT.upper(), "iss": MICROSOFT.issuer.replace("{tenantid}", TENANT.upper())},
        {"iss": MICROSOFT.issuer},
        {"iss": MICROSOFT.issuer.replace("{tenantid}", "common")},
        {"tid": "common", "iss": MICROSOFT.issuer.replace("{tenantid}", "common")},
        {"tid": "x/../evil", "iss": MICROSOFT.issuer.replace("{tenantid}", "x/../evil")},
        {"tid": "{tenantid}", "iss": MICROSOFT.issuer},
        {"iss": OF_TENANT.replace("v2.0", "v1.0")},
        {"iss": f"https://sts.windows.net/{TENANT}/"},
        {"iss": OF_TENANT.replace("login.microsoftonline.com", "login.example.com")},
        {"iss": GOOGLE.issuer},
    ],
)
def test_the_issuer_is_the_tenants_that_the_token_names(said: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        identity(signed(microsofts(**said)), KEYS, MICROSOFT, NOW)


def test_a_key_that_is_for_some_tenants_signs_for_them_alone() -> None:
    def read(issuer_of_key: str) -> Identity:
        return identity(signed(microsofts()), [RSA | {"issuer": issuer_of_key}], MICROSOFT, NOW)

    assert read(MICROSOFT.issuer).issuer == read(OF_TENANT).issuer == OF_TENANT
    for other in (MICROSOFT.issuer.replace("{tenantid}", OTHER), GOOGLE.issuer, ""):
        with pytest.raises(BadToken):
            read(other)


def test_users_of_two_tenants_with_one_subject_are_two() -> None:
    of_other = microsofts(tid=OTHER, iss=MICROSOFT.issuer.replace("{tenantid}", OTHER))
    one, other = (identity(signed(said), KEYS, MICROSOFT, NOW) for said in (microsofts(), of_other))
    assert one.hashed != other.hashed
    assert one.hashed != replace(one, subject="x").hashed
    assert one.hashed == replace(one, email="another@north.example.com").hashed


# Keys


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [EC],
        [RSA, RSA],
        [RSA | {"use": "enc"}],
        [RSA | {"alg": "RS512"}],
        [RSA | {"kty": "EC"}],
        [RSA | {"kty": "oct", "k": RSA["n"]}],
        [RSA | {"key_ops": ["encrypt"]}],
        [RSA | {"n": "AQAB"}],
        [RSA | {"n": 1}],
        [{name: value for name, value in RSA.items() if name != "e"}],
        [jwk(rsa_key("mallory"), "rsa")],
        [None, 1, "rsa", ["rsa"]],
    ],
)
def test_keys_that_cannot_have_signed_it_prove_nothing(keys: list[Any]) -> None:
    with pytest.raises(BadToken):
        identity(signed(), keys, GOOGLE, NOW)


def test_a_short_key_proves_nothing() -> None:
    weak = rsa_key("weak", 1_024)
    sha256 = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
    token = raw(HEADER, CLAIMS, lambda head: sha256.sign(head, weak))
    with pytest.raises(BadToken, match="key size"):
        identity(token, [jwk(weak, "rsa")], GOOGLE, NOW)


def test_the_only_key_needs_no_name() -> None:
    token = jwt.encode(CLAIMS, rsa_key("google"), "RS256")
    assert identity(token, [RSA, EC], GOOGLE, NOW).subject == "1234567890"
    with pytest.raises(BadToken):
        identity(token, [RSA, jwk(rsa_key("mallory"), "other")], GOOGLE, NOW)


def test_a_key_that_is_not_there_may_be_a_new_one() -> None:
    with pytest.raises(UnknownKey):
        identity(signed(header={"kid": "new"}), KEYS, GOOGLE, NOW)
