"""Identifiers and random secrets: the one source of both.

An id is a prefix and a ULID: 48 bits of milliseconds, so that ids sort by creation, and 80 random bits, so that nobody
guesses one. A secret is 256 random bits.
"""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_source: Callable[[int], bytes] = os.urandom


def new(prefix: str, at: datetime) -> str:
    """A fresh id such as `acc_01gq9k3v5ey8s4h1m2c7d0w6xt`."""
    return _id(prefix, at, _source(10))


def of(prefix: str, at: datetime, what: str) -> str:
    """The id of what was made of something else: the same whenever it is made again."""
    return _id(prefix, at, hashlib.sha256(what.encode()).digest()[:10])


def _id(prefix: str, at: datetime, rest: bytes) -> str:
    number = int(at.timestamp() * 1000) << 80 | int.from_bytes(rest)
    return f"{prefix}_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def secret() -> str:
    """256 random bits as 43 URL-safe characters."""
    return base64.urlsafe_b64encode(_source(32)).decode().rstrip("=")


def base32(size: int) -> str:
    """So many random bytes as letters and the digits 2 to 7: for what people type or apps read."""
    return base64.b32encode(_source(size)).decode().rstrip("=")


@contextmanager
def override(source: Callable[[int], bytes]) -> Iterator[None]:
    """Let ids and secrets come from `source(number_of_bytes)` while the block runs."""
    global _source
    previous, _source = _source, source
    try:
        yield
    finally:
        _source = previous
