"""A POST with an Idempotency-Key: done once, answered alike each time, for two days."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from portal import keys
from portal.change import Change
from portal.errors import Conflict, FieldError, Invalid
from portal.scope import Caller
from portal.table import Contended, Item, PackedJsonAttribute, Put, Update, Write, expiry, find, stage

_KEPT_FOR = timedelta(days=2)
_LONGEST_KEY = 255


class IdempotencyKeyReused(Conflict):
    detail = "This Idempotency-Key was used for another request."


class AnsweredMeanwhile(Conflict, Contended):
    """A copy of this request was faster: run again, which finds its answer."""


class IdempotencyRecord(Item, discriminator="idempotency"):
    """The answer to a POST that carried an Idempotency-Key, written in the transaction of what the POST did."""

    request_hash = UnicodeAttribute()
    status = NumberAttribute()
    answer = PackedJsonAttribute(null=True)


@dataclass(frozen=True, slots=True)
class Known:
    """The answer that was given the first time: JSON text, None where it had no body."""

    status: int
    body: str | None


@dataclass(slots=True)
class Repeat:
    """One request that may be a repeat."""

    pk: str
    sk: str
    request_hash: str
    now: datetime
    outdated: IdempotencyRecord | None = None
    """An answer of more than two days ago that is still there: its key counts as new."""

    @classmethod
    def of(cls, caller: Caller, operation: str, key: str, request: bytes, now: datetime) -> "Repeat":
        """`request` is everything that makes two requests the same.

        Raises:
            Invalid: the key is too long.
        """
        if len(key) > _LONGEST_KEY:
            raise Invalid(errors=(FieldError("Idempotency-Key", f"At most {_LONGEST_KEY} characters."),))
        key_hash = hashlib.sha256(f"{caller.user_id} {key}".encode(errors="replace")).hexdigest()
        sk = keys.idempotency(operation, key_hash)
        return cls(keys.node(caller.portal), sk, hashlib.sha256(request).hexdigest(), now)

    def answer(self) -> Known | None:
        """What was answered before, if anything.

        Raises:
            IdempotencyKeyReused: the key came with another request.
        """
        record = find(IdempotencyRecord, self.pk, self.sk)
        if record is None or (record.expires_at or 0) < expiry(self.now):
            self.outdated = record
            return None
        if record.request_hash != self.request_hash:
            raise IdempotencyKeyReused
        return Known(
            int(record.status), None if record.answer is None else orjson.dumps(record.answer).decode()
        )

    def remember(self, status: int, answer: Any) -> Write:
        """What keeps this answer (a JSON value); written with what the request did."""
        values: dict[str, Any] = {
            "request_hash": self.request_hash,
            "status": status,
            "answer": answer,
            "expires_at": expiry(self.now + _KEPT_FOR),
        }
        if self.outdated is not None:
            return stage(Update(self.outdated, Change(**values)))
        return Put(IdempotencyRecord(self.pk, self.sk, **values), taken=AnsweredMeanwhile)
