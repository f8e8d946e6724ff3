"""What can be wrong with a request, as problem+json (RFC 9457) tells it.

A domain's own errors subclass one of these beside their rule. The class name gives the code: `AlreadySubscribed` is
`already_subscribed`.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that was refused: its dotted name in the request and what is wrong with it."""

    field: str
    message: str


class PortalError(Exception):
    """Base of everything that is told to the caller; never raised itself."""

    detail = "The request was refused."
    retry_after_seconds: int | None = None

    def __init__(self, detail: str | None = None, *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail or self.detail)
        self.detail = detail or self.detail
        self.errors = errors

    @classmethod
    def code(cls) -> str:
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()


class Invalid(PortalError):
    detail = "The request is not valid."


class NotSignedIn(PortalError):
    detail = "Sign in first: the access token is missing, expired or revoked."


class NotPermitted(PortalError):
    detail = "You may not do this."


class PeopleOnly(NotPermitted):
    detail = "Only a person who has signed in may do this, not an API key."


class AccessDenied(NotPermitted):
    """By IP restrictions."""

    detail = "Access from your address is not allowed."


class NotFound(PortalError):
    detail = "There is no such thing here."


class MethodNotAllowed(PortalError):
    detail = "This address does not take that method."

    def __init__(self, *, allowed: tuple[str, ...]) -> None:
        super().__init__(f"This address takes {' and '.join(allowed)} only.")
        self.allowed = allowed


class Conflict(PortalError):
    detail = "The present state does not allow this."


class TooLarge(PortalError):
    detail = "The request is too large."


class UnsupportedMediaType(PortalError):
    detail = "Send the body as application/json."


class TooManyRequests(PortalError):
    detail = "Too many requests."

    def __init__(self, detail: str | None = None, *, retry_after_seconds: int = 60) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(PortalError):
    """Something that the portal depends on does not answer; nothing is half done."""

    detail = "This cannot be done at the moment; try again later."
    retry_after_seconds = 60


_STATUSES: dict[type[PortalError], int] = {
    Invalid: 400,
    NotSignedIn: 401,
    NotPermitted: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Conflict: 409,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    TooManyRequests: 429,
    Unavailable: 503,
}


def status_of(error: type[PortalError]) -> int:
    """The HTTP status of an error class: that of its nearest ancestor in the table above."""
    return next(_STATUSES[base] for base in error.__mro__ if base in _STATUSES)
