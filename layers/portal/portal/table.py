"""The one table: its base record, reading it, and writing a set of changes in one transaction."""

import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, TypeVar

import orjson
from pynamodb.attributes import (
    Attribute,
    DiscriminatorAttribute,
    NumberAttribute,
    UnicodeAttribute,
    VersionAttribute,
)
from pynamodb.connection import TableConnection
from pynamodb.constants import BINARY, STRING
from pynamodb.exceptions import (
    DeleteError,
    DoesNotExist,
    PutError,
    PynamoDBException,
    TransactWriteError,
    UpdateError,
)
from pynamodb.expressions.condition import Condition
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from portal import keys
from portal.change import Change
from portal.errors import Conflict, PortalError
from portal.settings import settings
from portal.tree import Node

MOST_WRITES = 100
"""DynamoDB's limit of actions in one transaction."""


_ERASED_AT_ONCE = 25


class InstantAttribute(Attribute[datetime]):
    """An aware UTC instant, stored as it sorts: `2023-01-24T00:00:00.000Z`."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        return keys.instant(value)

    def deserialize(self, value: str) -> datetime:
        return datetime.fromisoformat(value)


class DateAttribute(Attribute[date]):
    """A UTC date, stored as `2023-01-24`."""

    attr_type = STRING

    def serialize(self, value: date) -> str:
        return value.isoformat()

    def deserialize(self, value: str) -> date:
        return date.fromisoformat(value)


class DecimalAttribute(Attribute[Decimal]):
    """An exact decimal such as a tax rate, stored as text."""

    attr_type = STRING

    def serialize(self, value: Decimal) -> str:
        return str(value)

    def deserialize(self, value: str) -> Decimal:
        return Decimal(value)


class PackedJsonAttribute(Attribute[Any]):
    """A JSON value that may be large and is only ever read whole, stored compressed."""

    attr_type = BINARY

    def serialize(self, value: Any) -> bytes:
        return zlib.compress(orjson.dumps(value))

    def deserialize(self, value: bytes) -> Any:
        return orjson.loads(zlib.decompress(value))


class JsonAttribute(Attribute[Any]):
    """A value that is only ever read whole, stored as JSON text."""

    attr_type = STRING

    def serialize(self, value: Any) -> str:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

    def deserialize(self, value: str) -> Any:
        return orjson.loads(value)


class ByParent(GlobalSecondaryIndex["Item"]):
    class Meta:
        index_name = "by_parent"
        projection = AllProjection()

    parent_pk = UnicodeAttribute(hash_key=True)
    parent_sk = UnicodeAttribute(range_key=True)


class ByDistributor(GlobalSecondaryIndex["Item"]):
    class Meta:
        index_name = "by_distributor"
        projection = AllProjection()

    distributor_pk = UnicodeAttribute(hash_key=True)
    distributor_sk = UnicodeAttribute(range_key=True)


class ByDue(GlobalSecondaryIndex["Item"]):
    class Meta:
        index_name = "by_due"
        projection = AllProjection()

    due_pk = UnicodeAttribute(hash_key=True)
    due_sk = UnicodeAttribute(range_key=True)


class AuditByUser(GlobalSecondaryIndex["Item"]):
    class Meta:
        index_name = "audit_by_user"
        projection = AllProjection()

    audit_user_pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class AuditByAccount(GlobalSecondaryIndex["Item"]):
    class Meta:
        index_name = "audit_by_account"
        projection = AllProjection()

    audit_account_pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class AuditByActivity(GlobalSecondaryIndex["Item"]):
    class Meta:
        index_name = "audit_by_activity"
        projection = AllProjection()

    audit_activity_pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class Item(Model):
    """Base of every record.

    `version` counts the writes of an item. PynamoDB makes every write assert the version that was read, and that a new
    record does not exist, so no two writers overwrite each other.
    A record that stands in an index says so in `index_keys`.
    """

    class Meta:
        table_name = settings.table_name
        connect_timeout_seconds = 3
        read_timeout_seconds = 10
        max_retry_attempts = 3

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    kind = DiscriminatorAttribute()
    version = VersionAttribute()
    created_at = InstantAttribute(null=True)
    expires_at = NumberAttribute(null=True)
    """Epoch seconds after which DynamoDB deletes the item (TTL)."""

    parent_pk = UnicodeAttribute(null=True)
    parent_sk = UnicodeAttribute(null=True)
    distributor_pk = UnicodeAttribute(null=True)
    distributor_sk = UnicodeAttribute(null=True)
    due_pk = UnicodeAttribute(null=True)
    due_sk = UnicodeAttribute(null=True)
    audit_user_pk = UnicodeAttribute(null=True)
    audit_account_pk = UnicodeAttribute(null=True)
    audit_activity_pk = UnicodeAttribute(null=True)
    """Of audit entries alone, which stand in these indexes under the sort key that they have anyway."""

    by_parent = ByParent()
    by_distributor = ByDistributor()
    by_due = ByDue()
    audit_by_user = AuditByUser()
    audit_by_account = AuditByAccount()
    audit_by_activity = AuditByActivity()

    @property
    def node(self) -> Node:
        """The tenant in whose partition the item lies."""
        return keys.node_of(self.pk)

    def parent_key(self) -> tuple[str, str] | None:
        """Where the record stands in `by_parent`, if it does."""
        return None

    def distributor_key(self) -> tuple[str, str] | None:
        """Where the record stands in `by_distributor`, if it does."""
        return None

    def due_key(self) -> tuple[str, str] | None:
        """Where the record stands in `by_due`, if it does."""
        return None

    def index(self) -> None:
        """Bring the index keys in line with the other attributes."""
        self.parent_pk, self.parent_sk = self.parent_key() or (None, None)
        self.distributor_pk, self.distributor_sk = self.distributor_key() or (None, None)
        self.due_pk, self.due_sk = self.due_key() or (None, None)

    @classmethod
    def _get_connection(cls) -> TableConnection:
        # PynamoDB would make a client for every model class; they all share this one.
        return super()._get_connection() if cls is Item else Item._get_connection()


_Record = TypeVar("_Record", bound=Item)
_Result = TypeVar("_Result")


# Reading


def find(model: type[_Record], pk: str, sk: str) -> _Record | None:
    """One record as it is now (a consistent read), or None."""
    try:
        return model.get(pk, sk, consistent_read=True)
    except DoesNotExist:
        return None


def find_many(model: type[_Record], wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], _Record]:
    """The records with these keys as they are now, those that exist; any number, in batches of 100."""
    return {(item.pk, item.sk): item for item in model.batch_get(list(wanted), consistent_read=True)}


def query(
    model: type[_Record],
    pk: str,
    prefix: str = "",
    *,
    newest_first: bool = False,
    after: str = "",
    limit: int | None = None,
) -> Iterator[_Record]:
    """The records of a partition whose sort key begins with `prefix`, in order, as they are now.

    `after` starts behind that sort key (it must itself begin with `prefix`), for reading on where an earlier run stopped.
    """
    condition: Condition | None = Item.sk.startswith(prefix) if prefix else None
    if after:
        first, last = (prefix, after) if newest_first else (after, prefix + "\U0010ffff")
        condition = Item.sk.between(first, last)
    # Both ends belong to a range, so the record at `after` comes too, first, and is left out.
    read = None if limit is None else limit + bool(after)
    found = model.query(pk, condition, consistent_read=True, scan_index_forward=not newest_first, limit=read)
    return iter(found) if not after else islice((record for record in found if record.sk != after), limit)


def query_index(
    model: type[_Record],
    index: str,
    pk: str,
    prefix: str = "",
    *,
    until: str = "",
    newest_first: bool = False,
    limit: int | None = None,
) -> Iterator[_Record]:
    """The records of an index partition in order: those whose sort key begins with `prefix`, or sorts up to `until`.

    An index lags behind the table. Nothing about money or access is decided from one.
    """
    sort_key = {"by_parent": Item.parent_sk, "by_distributor": Item.distributor_sk, "by_due": Item.due_sk}[
        index
    ]
    condition: Condition | None = sort_key.startswith(prefix) if prefix else None
    if until:
        condition = sort_key <= until
    return iter(
        model.query(pk, condition, index_name=index, scan_index_forward=not newest_first, limit=limit)
    )


def query_between(model: type[_Record], pk: str, first: str, last: str) -> Iterator[_Record]:
    """The records of a partition from sort key `first` to `last`, both included, in order, as they are now."""
    return iter(model.query(pk, Item.sk.between(first, last), consistent_read=True))


def query_back(
    model: type[_Record], pk: str, first: str, last: str, *, index: str = "", at_once: int
) -> Iterator[_Record]:
    """The records of a partition from sort key `last` back to `first`, both included, `at_once` in a request.

    Of the table itself they are as they are now. An index whose sort key is the table's own lags behind it.
    """
    sort_key = Item.distributor_sk if index == "by_distributor" else Item.sk
    found = model.query(
        pk,
        sort_key.between(first, last),
        index_name=index or None,
        consistent_read=not index,
        scan_index_forward=False,
        page_size=at_once,
    )
    return iter(found)


def list_sort_keys(pk: str) -> Iterator[str]:
    """The sort key of everything in a partition, of whatever kind, also of kinds this process has no model of."""
    last = None
    while True:
        page = Item._get_connection().query(
            pk, attributes_to_get=["pk", "sk"], consistent_read=True, exclusive_start_key=last
        )
        yield from (each["sk"]["S"] for each in page["Items"])
        if (last := page.get("LastEvaluatedKey")) is None:
            return


# Writing


@dataclass(frozen=True, slots=True)
class Put:
    """A record that must not exist yet; `taken` is the error when it does."""

    record: Item
    taken: type[PortalError] = Conflict


@dataclass(frozen=True, slots=True)
class Update:
    """A change to a record as it was read."""

    record: Item
    change: Change


@dataclass(frozen=True, slots=True)
class Delete:
    """The end of a record as it was read."""

    record: Item


@dataclass(frozen=True, slots=True)
class Check:
    """Nothing, but only if the record is still as it was read."""

    record: Item


@dataclass(frozen=True, slots=True)
class Add:
    """A number added to an attribute of a record as it is by then, as long as it is there: for counts.

    Those who add at the same time do not outrun each other; whoever read the record before is outrun.
    """

    record: Item
    attribute: str
    number: int


Write = Put | Update | Delete | Check | Add


class Contended(Exception):
    """Somebody else changed, or was just changing, what was read: read again and decide again."""


def stage(write: Write) -> Write:
    """Apply a change to the record in memory, so that what is shown is what will be stored."""
    if isinstance(write, Update):
        for name, value in write.change.items():
            setattr(write.record, name, value)
    if isinstance(write, Add):
        setattr(write.record, write.attribute, getattr(write.record, write.attribute) + write.number)
    if isinstance(write, Put | Update):
        write.record.index()
    return write


def write(staged: Sequence[Write]) -> None:
    """Carry out staged writes, all or none.

    Raises:
        Contended: a record is no longer as it was read, or another transaction holds it.
        PortalError: a record to be put exists already: its `taken` error.
    """
    order = (Check, Delete, Put, Update, Add)
    ordered = sorted(staged, key=lambda each: order.index(type(each)))
    if len(ordered) > MOST_WRITES:
        raise ValueError(f"{len(ordered)} writes do not fit into one transaction")
    if len(ordered) == 1 and not isinstance(ordered[0], Check | Add):
        return _write_one(ordered[0])
    if not ordered:
        return None
    try:
        with TransactWrite(connection=Item._get_connection().connection) as transaction:
            for each in ordered:
                if isinstance(each, Check):
                    transaction.condition_check(Item, each.record.pk, each.record.sk, _unchanged(each.record))
                elif isinstance(each, Delete):
                    transaction.delete(each.record)
                elif isinstance(each, Add):
                    added = getattr(type(each.record), each.attribute).add(each.number)
                    there = Item.pk.exists()
                    transaction.update(each.record, [added], there, add_version_condition=False)
                else:
                    transaction.save(each.record)
    except TransactWriteError as error:
        if code_of(error) == "TransactionInProgressException":
            raise Contended from error
        refused = [
            (each, reason.code)
            for each, reason in zip(ordered, error.cancellation_reasons, strict=False)
            if reason
        ]
        # Whoever was outrun decides anew: what the other did may be the very reason why a record exists already.
        for each, code in refused:
            outrun = not isinstance(each, Put) or issubclass(each.taken, Contended)
            if code == "TransactionConflict" or (code == "ConditionalCheckFailed" and outrun):
                raise Contended from error
        for each, code in refused:
            if code == "ConditionalCheckFailed" and isinstance(each, Put):
                raise each.taken from error
        raise


def erase(pk: str, sort_keys: Iterable[str]) -> None:
    """Delete items whatever they say by now: for what is left of a tenant that is gone."""
    doomed = sorted(sort_keys)
    for first in range(0, len(doomed), _ERASED_AT_ONCE):
        unerased = [{"pk": {"S": pk}, "sk": {"S": sk}} for sk in doomed[first : first + _ERASED_AT_ONCE]]
        for turn in range(10):
            answer = Item._get_connection().batch_write_item(delete_items=unerased)
            refused = answer.get("UnprocessedItems", {}).get(Item.Meta.table_name, [])
            unerased = [each["DeleteRequest"]["Key"] for each in refused]
            if not unerased:
                break
            time.sleep(random.random() * 0.05 * 2**turn)
        else:
            raise Contended


def note(record: Item, attribute: str, value: Any) -> None:
    """Set one attribute of a record at once, whatever else it says by then; nothing if it is gone.

    For what nobody decides by, and many may write at the same time.
    """
    try:
        setting = getattr(type(record), attribute).set(value)
        record.update([setting], Item.pk.exists(), add_version_condition=False)
    except UpdateError as error:
        if code_of(error) == "TransactionConflictException":
            raise Contended from error
        if code_of(error) != "ConditionalCheckFailedException":
            raise


def _write_one(each: Put | Update | Delete) -> None:
    try:
        if isinstance(each, Delete):
            each.record.delete()
        else:
            each.record.save()
    except (PutError, DeleteError) as error:
        if code_of(error) == "ConditionalCheckFailedException":
            raise (each.taken if isinstance(each, Put) else Contended) from error
        if code_of(error) == "TransactionConflictException":
            raise Contended from error
        raise


def code_of(error: PynamoDBException) -> str | None:
    """What DynamoDB refused a call with; None where its answer never came."""
    # What never got an answer (a connection cut, a time-out) has none either.
    return error.cause_response_code if getattr(error.cause, "response", None) else None


def _unchanged(record: Item) -> Condition:
    unchanged: Condition = Item.version == record.version
    return unchanged


def settled(attempt: Callable[[], _Result], *, times: int = 6) -> _Result:
    """Run load-decide-commit until nobody interferes.

    Raises:
        Conflict: others interfered `times` times running.
    """
    for turn in range(times):
        try:
            return attempt()
        except Contended:
            # Full jitter, at most 20, 40, 80 ... ms: those who collided come back at different moments.
            time.sleep(random.random() * 0.02 * 2**turn)
    raise Conflict("Others are changing the same thing; try again.")


def expiry(at: datetime) -> int:
    """An instant as the TTL attribute wants it."""
    return int(at.astimezone(UTC).timestamp())
