"""The form of the events that API Gateway hands to a function: whether one can be read as a request at all.

API Gateway never sends another form, but a function can be invoked by hand, or be wired up wrongly; then it says so
instead of failing somewhere.
"""

from collections.abc import Mapping
from typing import Any


def is_request(event: Any) -> bool:
    """Whether all parts of a proxy event that are there have the types they must have; any of them may be missing."""
    if not isinstance(event, Mapping):
        return False
    texts = ("headers", "pathParameters", "queryStringParameters")
    lists = event.get("multiValueQueryStringParameters") or {}
    return (
        all(_is_of_texts(event.get(part) or {}) for part in texts)
        and isinstance(lists, Mapping)
        and all(isinstance(name, str) and _is_list(values) for name, values in lists.items())
        and isinstance(event.get("body") or "", str)
        and _has_context(event)
    )


def _has_context(event: Mapping[str, Any]) -> bool:
    context = event.get("requestContext") or {}
    identity = (context.get("identity") or {}) if isinstance(context, Mapping) else {}
    return (
        isinstance(context, Mapping)
        and isinstance(context.get("requestId") or "", str)
        and isinstance(context.get("authorizer") or {}, Mapping)
        and isinstance(identity, Mapping)
        and all(_is_text(identity.get(name) or "") for name in ("sourceIp", "userAgent"))
    )


def _is_of_texts(part: Any) -> bool:
    """Whether these are names with texts, or with nothing."""
    return isinstance(part, Mapping) and all(
        _is_text(name) and (value is None or _is_text(value)) for name, value in part.items()
    )


def _is_list(values: Any) -> bool:
    return isinstance(values, list) and all(_is_text(each) for each in values)


def _is_text(value: Any) -> bool:
    """Half of a character outside the basic plane, alone, is none: no such text can be stored or sent."""
    return isinstance(value, str) and (
        value.isascii() or not any("\ud800" <= each <= "\udfff" for each in value)
    )
