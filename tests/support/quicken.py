"""Patches inside moto: what makes it slow or breaks rewinding is taken out, and queries are shown one
partition.

What the patched parts guarded (roll-back of transactions, item sizes), the harness guards itself and more
exactly. Everything is put back at the end.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import moto.dynamodb.models
import moto.kms.models
import moto.sqs.models
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import StreamRecord, Table
from moto.s3.models import FakeKey


@contextmanager
def quickened(now: Callable[[], datetime], weigh: Callable[[list[Item]], None] | None) -> Iterator[None]:
    """Patch moto. `now` moves SQS's timers; `weigh` is told what each query read, before filter and
    projection.
    """
    disposed: list[FakeKey] = []
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(
            patch.object(
                moto.dynamodb.models,
                "copy",
                SimpleNamespace(copy=copy.copy, deepcopy=_deepcopy_all_but_tables),
            )
        )
        enter(patch.object(LimitedSizeDict, "__setitem__", dict.__setitem__))
        for model in (Item, StreamRecord):
            enter(patch.object(model, "__new__", _untracked))
        enter(patch.object(Table, "query", _query_of_a_partition(Table.query, weigh)))
        enter(
            patch.object(
                BaseJSONSerializer,
                "_serialize_type_structure",
                _short_cut_for_attribute_values(BaseJSONSerializer._serialize_type_structure),
            )
        )
        enter(patch.object(moto.kms.models, "generate_private_key", _PRIVATE_KEY))
        enter(patch.object(FakeKey, "dispose", _dispose_later(disposed)))
        enter(patch.object(moto.sqs.models, "unix_time", lambda: now().timestamp()))
        enter(patch.object(moto.sqs.models, "unix_time_millis", lambda: now().timestamp() * 1000))
        yield
    for key in disposed:
        key.dispose()


_PRIVATE_KEY = cache(moto.kms.models.generate_private_key)
"""moto makes an RSA key for every key, also for those that encrypt; here all have the same."""


def _deepcopy_all_but_tables(value: Any, memo: Any = None) -> Any:
    """moto copies the whole table for each transaction, to roll back; the harness rolls back itself."""
    return value if isinstance(value, Table) else copy.deepcopy(value, memo)


def _untracked(cls: type, *args: Any, **options: Any) -> Any:
    """moto keeps every item it ever made in a list that nobody reads here."""
    return object.__new__(cls)


def _dispose_later(disposed: list[FakeKey]) -> Callable[..., None]:
    """A restore may bring an S3 object back, so none is closed while the harness is on."""

    def dispose(key: FakeKey, garbage: bool = False) -> None:
        if not garbage:
            disposed.append(key)

    return dispose


_QUERY_ARGUMENTS = (
    "range_comparison",
    "range_objs",
    "limit",
    "exclusive_start_key",
    "scan_index_forward",
    "projection_expressions",
    "index_name",
    "consistent_read",
    "filter_expression",
)


def _query_of_a_partition(
    original: Callable[..., Any], weigh: Callable[[list[Item]], None] | None
) -> Callable[..., Any]:
    """moto sorts the whole table for every query."""

    def query(table: Table, hash_key: DynamoType, *args: Any, **options: Any) -> Any:
        arguments = dict(zip(_QUERY_ARGUMENTS, args, strict=False)) | options
        whole: Any = table.items
        if arguments.get("index_name"):
            shown = _where(whole, dict(arguments.get("hash_key_conditions") or ()), table.has_range_key)
        else:
            shown = {hash_key: whole[hash_key]} if hash_key in whole else {}
        table.items = shown  # type: ignore[assignment]
        try:
            found = original(table, hash_key, **arguments)
            if weigh is not None:
                read = found
                if arguments.get("filter_expression") or arguments.get("projection_expressions"):
                    everything = {**arguments, "filter_expression": None, "projection_expressions": None}
                    read = original(table, hash_key, **everything)
                weigh(read[0])
        finally:
            table.items = whole
        return found

    return query


def _where(items: Any, conditions: Mapping[str, DynamoType], has_sort_key: bool) -> dict[Any, Any]:
    """The part of a table that meets all equalities, in the table's own form."""
    wanted = [(name, value.type, value.value) for name, value in conditions.items()]

    def fits(item: Item) -> bool:
        for name, kind, content in wanted:
            value = item.attrs.get(name)
            if value is None or value.type != kind or value.value != content:
                return False
        return True

    if not has_sort_key:
        return {key: item for key, item in items.items() if fits(item)}
    found = {}
    for partition, content in items.items():
        if part := {key: item for key, item in content.items() if fits(item)}:
            found[partition] = part
    return found


def _short_cut_for_attribute_values(original: Callable[..., None]) -> Callable[..., None]:
    """moto tries every alias of all ten members for each attribute value it answers with."""

    def serialize(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and key and _has_no_bytes(value):
            serialized[key] = value
        else:
            original(serializer, serialized, value, shape, key)

    return serialize


def _has_no_bytes(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    kind, content = next(iter(value.items()))
    if kind == "M":
        return all(map(_has_no_bytes, content.values()))
    if kind == "L":
        return all(map(_has_no_bytes, content))
    return kind not in ("B", "BS")
