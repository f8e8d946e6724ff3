"""What a run leaves behind in table, bucket, queues and mail boxes, told without what the clock and chance put into it: two
runs of the same thing at other times must agree on it.
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.ses.models import ses_backends
from moto.sqs.models import sqs_backends

from portal.settings import settings
from tests.support.backend import backend_of
from tests.support.hook import REGION

_BY_CHANCE = (
    (re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00| UTC)?)?"), "<time>"),
    (re.compile(r"([a-z]{3}_)[0-9a-hjkmnp-tv-z]{26}"), r"\1<id>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r"[A-Za-z0-9_-]{43,}"), "<secret>"),
    (re.compile(r"<svg.*?</svg>"), "<picture>"),
    (re.compile(r"\b(seti|pi|cs|cus|pm)_\w+"), r"<the provider's \1>"),
    (re.compile(r"\b[A-Z2-7]{16,32}\b"), "<secret>"),
)
_OF_THE_CLOCK = {"expires_at"}
_OF_HOW_OFTEN = {"version", "attempts", "claims"}
"""How many times something was written or begun."""
_COUNTED_BEFORE = "attempts"
"""Kind of the counters of what somebody might guess, which count what came to nothing, too."""
_SEALED = {"totp_begun", "totp_secret", "password_hash", "recovery_hashes"}
"""Encrypted or salted: other bytes each time."""

Stored = Mapping[tuple[str, str], Any]


def stored() -> Stored:
    """Every item of the table by its key: the objects that moto keeps, which the harness never lets it change in place."""
    table = backend_of(REGION).tables[settings.table_name]
    return {(item.hash_key.value, item.range_key.value): item for item in table.all_items()}


def remains(since: Stored) -> list[str]:
    """How the table differs from what was there (a text for each item that is new, other or gone), which files there are,
    and which messages and mails: those once, however often they were sent, since each may come twice anyway.
    """
    now = stored()
    changed = [
        _told(_image(item))
        for key, item in now.items()
        if since.get(key) is not item and item.attrs["kind"].value != _COUNTED_BEFORE
    ]
    gone = [f"gone: {neutral(' '.join(key))}" for key in since if key not in now]
    return sorted([*changed, *gone, *{neutral(text) for text in _elsewhere()}])


def _image(item: Any) -> dict[str, Any]:
    return {name: value.to_regular_json() for name, value in item.attrs.items()}


def _elsewhere() -> Iterator[str]:
    yield from (
        f"file: {name}" for name in s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[settings.bucket_name].keys
    )
    for queue in sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues.values():
        yield from (f"{queue.name}: {message.body}" for message in queue._messages)
    for mail in ses_backends[DEFAULT_ACCOUNT_ID][REGION].sent_messages:
        yield f"mail: {mail.destinations}"


def neutral(text: str) -> str:
    """The text without the instants, ids and secrets in it."""
    for pattern, instead in _BY_CHANCE:
        text = pattern.sub(instead, text)
    return text


def _told(item: Mapping[str, Any]) -> str:
    values = {name: value for name, value in item.items() if name not in _OF_THE_CLOCK | _OF_HOW_OFTEN}
    return neutral(json.dumps({name: _value(name, value) for name, value in values.items()}, sort_keys=True))


def _value(name: str, value: Mapping[str, Any]) -> Any:
    if name in _SEALED:
        return "<sealed>"
    if "B" not in value:
        return value
    content = bytes(value["B"])
    return zlib.decompress(content).decode() if content[:1] == b"\x78" else "<bytes>"
