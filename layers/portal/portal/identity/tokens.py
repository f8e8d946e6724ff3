"""What the portal gives out to be shown again: access tokens, refresh tokens, one-time links.

Every one carries 256 random bits and a prefix that says what it is; only hashes are stored. The prefix also
lets secret scanners find a token that somebody published.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass

ACCESS = "dpa_"
REFRESH = "dpr_"
LINK = "dpl_"
ENGINE = "eng_"
"""The backup engine's token is this and the secret that the deployment made for it."""


def hashed(token: str) -> str:
    """What is stored of a token. It is random, so a plain hash tells nobody what it was."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """`dpr_<session id>.<secret>`."""

    session_id: str
    secret: str

    def __str__(self) -> str:
        return f"{REFRESH}{self.session_id}.{self.secret}"

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """The inverse of `str`; None where the text is no refresh token."""
        session_id, dot, secret = text.removeprefix(REFRESH).partition(".")
        return cls(session_id, secret) if text.startswith(REFRESH) and dot and session_id and secret else None


def successor(secret: str, salt: str) -> str:
    """The refresh secret that follows this one: whoever holds the one gets the same next one again, nobody
    else can.
    """
    return (
        urlsafe_b64encode(hmac.digest(secret.encode(errors="replace"), salt.encode(), hashlib.sha256))
        .decode()
        .rstrip("=")
    )
