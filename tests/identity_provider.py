"""Google and Microsoft as the portal meets them: OpenID Connect with everything that is checked really checked.

What a token says and how it is signed can be changed sign-in by sign-in, to see it refused.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from requests import PreparedRequest

from local.stage import Answer
from portal.identity import oidc
from portal.settings import settings
from tests.support import Harness
from tests.world import World

PUBLIC = "142.250.185.77"
TENANT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
HOSTS = {"google": "accounts.google.com", "microsoft": "login.microsoftonline.com"}
ISSUERS = {
    "google": "https://accounts.google.com",
    "microsoft": "https://login.microsoftonline.com/{tenantid}/v2.0",
}
Claims = dict[str, Any]


@cache
def rsa_key(name: str, bits: int = 2_048) -> rsa.RSAPrivateKey:
    """A key, the same one each time."""
    return rsa.generate_private_key(65_537, bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """The public half as a JSON Web Key."""
    algorithm = (
        jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    )
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


def half_hash(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).decode().rstrip("=")


@dataclass
class Redirected:
    """A browser that came to the provider's page, and what it was sent with."""

    asked: dict[str, str]
    cookie: str
    """As the browser sends it back."""


@dataclass
class Provider:
    """One provider. `sign` makes the ID token of its claims."""

    name: str
    world: World
    keys: list[dict[str, Any]] = field(default_factory=list)
    sign: Callable[[Claims], str] = field(init=False)
    change: Callable[[Claims], Any] = lambda claims: None
    """What is changed of the claims before they are signed."""
    answer: Callable[[dict[str, Any]], Any] = lambda answer: answer
    """What the token endpoint makes of its answer."""
    status: int = 200
    metadata: dict[str, Any] = field(default_factory=dict)
    asked_for: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, tuple[dict[str, str], Claims]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = [
            jwk(rsa_key(self.name), "key-1", alg="RS256"),
            jwk(ec_key(self.name), "key-2", alg="ES256"),
        ]
        self.sign = lambda claims: jwt.encode(claims, rsa_key(self.name), "RS256", {"kid": "key-1"})

    @property
    def url(self) -> str:
        return f"https://{HOSTS[self.name]}"

    @property
    def issuer(self) -> str:
        """Of the tenant whose users are here."""
        return ISSUERS[self.name].replace("{tenantid}", TENANT)

    def claims(self, subject: str, email: str) -> Claims:
        """What it says of a user whose address it has verified."""
        at = int(self.world.now.timestamp())
        client_id = settings.providers[self.name].client_id
        about = {"iss": self.issuer, "aud": client_id, "sub": subject, "iat": at, "exp": at + 3_600}
        if self.name == "google":
            return about | {"azp": client_id, "email": email, "email_verified": True}
        return about | {"nbf": at, "tid": TENANT, "oid": "oid", "email": email, "xms_edov": True}

    # What the portal asks it

    def __call__(self, request: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        path = urlsplit(request.url or "").path
        self.asked_for.append(path)
        found: Any
        if path.endswith("/.well-known/openid-configuration"):
            found = {
                "issuer": ISSUERS[self.name],
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                **self.metadata,
            }
            return 200, {}, json.dumps(found).encode()
        if path == "/keys":
            return 200, {}, json.dumps({"keys": self.keys}).encode()
        return self._token(request.body.decode() if isinstance(request.body, bytes) else str(request.body))

    def _token(self, body: str) -> tuple[int, dict[str, str], bytes]:
        form = {name: value for name, (value,) in parse_qs(body).items()}
        self.forms.append(form)
        if self.status != 200:
            return self.status, {}, json.dumps({"error": "temporarily_unavailable"}).encode()
        asked, claims = self.codes.pop(form["code"], ({}, {}))
        challenge = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        secret = f"value of {settings.providers[self.name].secret_arn}"
        proven = (
            asked.get("code_challenge") == challenge.rstrip("=")
            and asked["redirect_uri"] == form["redirect_uri"]
            and (form["client_id"], form["client_secret"]) == (asked["client_id"], secret)
            and form["grant_type"] == "authorization_code"
        )
        if not proven:
            return 400, {}, b'{"error": "invalid_grant"}'
        claims = {"nonce": asked["nonce"], "at_hash": half_hash("access"), **claims}
        self.change(claims)
        given = {"access_token": "access", "token_type": "Bearer", "id_token": self.sign(claims)}
        answer = self.answer(given)
        return 200, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def snapshot(self) -> dict[str, tuple[dict[str, str], Claims]]:
        """The codes that were not redeemed yet, for the harness to rewind."""
        return dict(self.codes)

    def restore(self, state: dict[str, tuple[dict[str, str], Claims]]) -> None:
        self.codes = dict(state)

    # What a person does in a browser

    def start(self, *, cookie: str = "", address: str = "198.51.100.7") -> Redirected:
        """Begin to sign in: the browser is on the provider's page then."""
        headers = {"Cookie": cookie} if cookie else None
        answer = self.world.call(
            "identity.start_provider_sign_in", path={"provider": self.name}, headers=headers, address=address
        )
        assert answer.status == 303, answer.text
        location = answer.headers["Location"]
        assert location.startswith(f"{self.url}/authorize?"), location
        asked = {name: value for name, (value,) in parse_qs(urlsplit(location).query).items()}
        return Redirected(asked, answer.headers["Set-Cookie"].partition(";")[0])

    def authorize(self, redirected: Redirected, subject: str, email: str) -> dict[str, str]:
        """Say yes on the provider's page: what the browser is sent back with."""
        code = f"code-of-{subject}-{len(self.forms)}-{len(self.codes)}"
        self.codes[code] = redirected.asked, self.claims(subject, email)
        return {"state": redirected.asked["state"], "code": code}

    def come_back(
        self,
        query: dict[str, str],
        cookie: str,
        *,
        provider: str = "",
        address: str = "198.51.100.7",
    ) -> Answer:
        return self.world.call(
            "identity.finish_provider_sign_in",
            path={"provider": provider or self.name},
            query=query,
            headers={"Cookie": cookie} if cookie else None,
            address=address,
        )

    def sign_in(self, subject: str, email: str, *, address: str = "198.51.100.7") -> Answer:
        """The whole way there and back."""
        redirected = self.start(address=address)
        return self.come_back(self.authorize(redirected, subject, email), redirected.cookie, address=address)


def provider(world: World, harness: Harness, name: str) -> Provider:
    """A provider that answers at its real addresses."""
    oidc.forget()
    made = Provider(name, world)
    harness.serve(HOSTS[name], made)
    harness.net.names[HOSTS[name]] = [PUBLIC]
    return made


def challenge_in(answer: Answer) -> str:
    """The token with which the web portal goes on."""
    before, _, token = answer.headers["Location"].partition("https://portal.example.com/signed-in#challenge=")
    assert answer.status == 303 and not before, answer.headers["Location"]
    return token


def error_in(answer: Answer) -> str:
    """Why the web portal is told that there is no sign-in."""
    before, _, code = answer.headers["Location"].partition("https://portal.example.com/sign-in#error=")
    assert answer.status == 303 and not before, answer.headers["Location"]
    return code
