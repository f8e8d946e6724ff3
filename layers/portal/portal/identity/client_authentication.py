"""How a client shows at the token endpoint who it is: RFC 6749, section 2.3.

With its id and secret, in one of three ways: HTTP Basic, the form's `client_id` and `client_secret`, or the headers
`client-id` and `client-secret`.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal as RFC 6749 has it."""

    error: str
    description: str
    status: int = 400


INVALID_CLIENT = Refused("invalid_client", "This client is unknown, or its secret is wrong.", 401)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client shows; whether it is right is not said."""

    client_id: str
    client_secret: str


def shown(headers: Mapping[str, str], client_id: str, client_secret: str) -> Shown | Refused | None:
    """What a request shows of its client; None where that is no secret.

    Args:
        headers: by lower-case name.
        client_id: of the form, like `client_secret`; empty where it is not there.
    """
    ways = []
    scheme, _, credentials = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "basic":
        decoded = _decoded(credentials.strip())
        if decoded is None:
            return INVALID_CLIENT
        ways.append(decoded)
    if client_secret:
        ways.append(Shown(client_id, client_secret))
    if headers.get("client-secret"):
        ways.append(Shown(headers.get("client-id", ""), headers["client-secret"]))
    if len(ways) > 1:
        return Refused("invalid_request", "Show client id and secret in one way only.")
    named = {each for each in (client_id, headers.get("client-id"), *(way.client_id for way in ways)) if each}
    if len(named) > 1:
        return Refused("invalid_request", "The request names two clients.")
    return ways[0] if ways else None


def _decoded(credentials: str) -> Shown | None:
    """HTTP Basic, in which OAuth form-encodes the id and the secret before they are put together."""
    try:
        both = base64.b64decode(credentials, validate=True).decode()
    except ValueError:
        return None
    client_id, colon, client_secret = both.partition(":")
    return Shown(unquote_plus(client_id), unquote_plus(client_secret)) if colon else None
