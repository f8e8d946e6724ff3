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
CHALLENGE = "dpc_"
CLIENT_SECRET = "dps_"
"""Of an API key."""
ENGINE = "eng_"
"""The backup engine's token is this and the secret that the deployment made for it."""
_LONGEST_REFRESH_TOKEN = 200


def hashed(token: str) -> str:
    """What is stored of a token. It is random, so a plain hash tells nobody what it was."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def is_hashed(token: str, stored: str | None) -> bool:
    """Whether this is the token whose hash is stored; where none is, no, after the same work."""
    return hmac.compare_digest(hashed(token), stored or hashed("")) and stored is not None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """`dpr_<session id>.<secret>`, where the secret ends in its tag."""

    session_id: str
    secret: str

    def __str__(self) -> str:
        return f"{REFRESH}{self.session_id}.{self.secret}"

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """The inverse of `str`; None where the text is no refresh token."""
        if len(text) > _LONGEST_REFRESH_TOKEN:
            return None
        session_id, dot, secret = text.removeprefix(REFRESH).partition(".")
        return cls(session_id, secret) if text.startswith(REFRESH) and dot and session_id and secret else None


def tagged(random: str, tag_key: str) -> str:
    """A refresh secret of the session that has this key: the random part and a tag that shows whose it is."""
    return f"{random}.{_digest(tag_key, random)}"


def is_tagged(secret: str, tag_key: str) -> bool:
    """Whether a refresh secret was made for the session that has this key, now or earlier."""
    random, _, _ = secret.partition(".")
    return hmac.compare_digest(hashed(secret), hashed(tagged(random, tag_key)))


def successor(secret: str, salt: str, tag_key: str) -> str:
    """The refresh secret that follows this one: whoever holds the one gets the same next one again, nobody
    else can.
    """
    return tagged(_digest(secret, salt), tag_key)


def _digest(key: str, text: str) -> str:
    made = hmac.digest(key.encode(errors="replace"), text.encode(errors="replace"), hashlib.sha256)
    return urlsafe_b64encode(made).decode().rstrip("=")
