"""DynamoDB calls carried out as DynamoDB would: refused, atomic, replayed by token, with a true stream,
weighed.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table

from . import capacity, refusals
from .actions import WRITES, Action, Key, actions_of, index_keys, keys_touched, summary
from .backend import (
    Image,
    Schema,
    backend_of,
    find,
    images_before,
    key_of,
    put_back,
    schema_of,
    showing,
    typed,
)
from .errors import refusal
from .faults import Call
from .measure import Counts
from .rules import HouseRules

TOKEN_LIFE = timedelta(minutes=10)

Perform = Callable[[BaseClient, str, Mapping[str, Any]], Any]
"""botocore's own `_make_api_call`."""


class Dynamo:
    """What the hook knows of DynamoDB. Every method is called with the lock held."""

    def __init__(
        self,
        rules: HouseRules,
        counts: Counts,
        now: Callable[[], datetime],
        *,
        measuring: bool,
        perform: Perform,
    ) -> None:
        self._rules = rules
        self._counts = counts
        self._now = now
        self._measuring = measuring
        self._perform = perform
        self._schemas: dict[int, tuple[Table, Schema]] = {}
        self._journal: deque[tuple[int, Image]] = deque(maxlen=10_000)
        self._weight = 0
        self.tokens: dict[str, tuple[datetime, str, list[int]]] = {}
        """By token: when its transaction was done, its content, the sizes of its items."""

    def weigh(self, read: Sequence[Item]) -> None:
        """Take note of what the present query read."""
        self._weight = sum(capacity.item_size(item.attrs) for item in read)

    def forget_writes(self) -> None:
        """Nothing written so far is recent any more."""
        self._journal.clear()

    def before_recent_writes(self, call: Call, window: int) -> AbstractContextManager[None]:
        """Show items as they were before the writes of the last `window` calls."""
        return showing(image for number, image in reversed(self._journal) if number >= call.number - window)

    def examine(self, client: BaseClient, call: Call) -> bool:
        """Take the call apart, check its keys, refuse what DynamoDB refuses. False if a table is missing."""
        actions = actions_of(call.operation, call.parameters)
        tables = backend_of(client.meta.region_name).tables
        if any(action.table not in tables for action in actions):
            return False

        def schema(name: str) -> Schema:
            return self._schema(tables[name])

        call.actions = tuple(actions)
        call.keys = tuple(key for action in actions for key in keys_touched(action, schema(action.table)))
        call.summary = summary(call.operation, actions, call.keys)
        self._rules.check(call, call.keys)
        if reason := refusals.objection(call.operation, call.parameters, actions, schema):
            raise refusal(client, call.operation, reason)
        return True

    def carry_out(self, client: BaseClient, call: Call, parameters: Mapping[str, Any]) -> Any:
        """Have the effect and give the answer. `parameters` may be a part of the call's own."""
        actions = call.actions if parameters is call.parameters else actions_of(call.operation, parameters)
        tables = backend_of(client.meta.region_name).tables
        if any(action.kind in WRITES for action in actions):
            return self._write(client, call, parameters, actions, tables)
        return self._read(client, call, parameters, actions, tables)

    def _schema(self, table: Table) -> Schema:
        known = self._schemas.get(id(table))
        if known is None or len(known[1].indexes) != len(table.all_indexes()):
            # The table is kept with it so that its id is not given to another.
            known = self._schemas[id(table)] = (table, schema_of(table))
        return known[1]

    # Writing

    def _write(
        self,
        client: BaseClient,
        call: Call,
        parameters: Mapping[str, Any],
        actions: Sequence[Action],
        tables: Mapping[str, Table],
    ) -> Any:
        token = parameters.get("ClientRequestToken")
        if token is not None and self._replayed(client, call, token, parameters):
            return {"ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}}
        before = images_before(
            (tables[action.table], key_of(tables[action.table], action.attributes), action.kind == "update")
            for action in actions
        )
        self._rules.check_kept(call, actions, [image.item is not None for image in before])
        streams = [
            (table, _stream_length(table))
            for table in {id(image.table): image.table for image in before}.values()
        ]
        try:
            answer = self._perform(client, call.operation, parameters)
            after = [Image(image.table, image.key, find(image.table, image.key)) for image in before]
            self._refuse_result(client, call, actions, before, after)
        except BaseException as error:
            for image in before:
                put_back(image)
            _cut(streams)
            if isinstance(error, ClientError) and not call.operation.startswith("Transact"):
                # A failed condition is charged like a write of what is there.
                self._charge(call, before, before)
            raise
        _cut(streams)
        self._record_changes(call, before, after)
        self._charge(call, before, after)
        if token is not None:
            sizes = [
                capacity.item_size((new if new.item else old).attributes or {})
                for old, new in zip(before, after, strict=True)
            ]
            self.tokens[token] = (self._now(), _content(parameters), sizes)
        return answer

    def _replayed(self, client: BaseClient, call: Call, token: str, parameters: Mapping[str, Any]) -> bool:
        """Whether this token's transaction has been done already; refuses the token for another content."""
        done = self.tokens.get(token)
        if done is None or self._now() - done[0] > TOKEN_LIFE:
            return False
        if done[1] != _content(parameters):
            text = "A request with this token but other parameters was made within the last 10 minutes"
            raise refusal(client, call.operation, text, "IdempotentParameterMismatchException")
        if self._measuring:
            self._counts.add_reading(
                call.name, sum(capacity.read_units(n, transaction=True) for n in done[2])
            )
        return True

    def _refuse_result(
        self,
        client: BaseClient,
        call: Call,
        actions: Sequence[Action],
        before: Sequence[Image],
        after: Sequence[Image],
    ) -> None:
        """Refuse what only shows once the update expressions have been worked out, and where they moved index
        keys.
        """
        for action, image in zip(actions, after, strict=True):
            if action.kind != "update" or image.attributes is None:
                continue
            schema = self._schema(image.table)
            reason = refusals.stored_item_objection(image.attributes, schema)
            reason = reason or refusals.size_objection(image.attributes)
            if reason:
                raise refusal(client, call.operation, reason)
            keys = index_keys(schema, image.attributes)
            call.keys += tuple(keys)
            self._rules.check(call, keys)
        if (
            call.operation == "TransactWriteItems"
            and len(after) * refusals.MAX_ITEM > refusals.MAX_TRANSACTION
        ):
            sizes = [
                max(capacity.item_size(image.attributes or {}) for image in pair)
                for pair in zip(before, after, strict=True)
            ]
            if sum(sizes) > refusals.MAX_TRANSACTION:
                raise refusal(client, call.operation, refusals.TRANSACTION_TOO_BIG)

    def _record_changes(self, call: Call, before: Sequence[Image], after: Sequence[Image]) -> None:
        """Remember old images, and give the stream one record for each item that really changed."""
        for old, new in zip(before, after, strict=True):
            if _same(old.item, new.item):
                continue
            self._journal.append((call.number, old))
            if old.table.stream_shard is not None:
                old.table.stream_shard.add(old.item, new.item)

    def _charge(self, call: Call, before: Sequence[Image], after: Sequence[Image]) -> None:
        if not self._measuring:
            return
        transaction = call.operation == "TransactWriteItems"
        for old, new in zip(before, after, strict=True):
            units = capacity.write_units(old.attributes, new.attributes, transaction=transaction)
            self._counts.write_units[call.name] += units
            if old.item is not new.item:
                changed = capacity.index_write_units(self._schema(old.table), old.attributes, new.attributes)
                self._counts.index_write_units.update(changed)

    # Reading

    def _read(
        self,
        client: BaseClient,
        call: Call,
        parameters: Mapping[str, Any],
        actions: Sequence[Action],
        tables: Mapping[str, Table],
    ) -> Any:
        answer = self._perform(client, call.operation, parameters)
        if call.operation == "Query" and parameters.get("IndexName"):
            self._check_found(call, answer.get("Items", ()), self._schema(tables[actions[0].table]))
        if self._measuring:
            transaction = call.operation == "TransactGetItems"
            for action in actions:
                size = self._weight if action.kind == "query" else _size_of(tables[action.table], action)
                consistent = bool(action.parameters.get("ConsistentRead"))
                units = capacity.read_units(size, consistent=consistent, transaction=transaction)
                self._counts.add_reading(call.name, units)
        return answer

    def _check_found(self, call: Call, items: Iterable[Mapping[str, Any]], schema: Schema) -> None:
        """What an index leads to must lie within the subtree too."""
        if self._rules.scope is None:
            return
        keys = [
            Key("read", schema.table, "", *(str(typed(item[name])[1]) for name in schema.keys))
            for item in items
            if all(name in item for name in schema.keys)
        ]
        call.keys += tuple(keys)
        self._rules.check(call, keys)


def _size_of(table: Table, action: Action) -> int:
    item = find(table, key_of(table, action.attributes))
    return capacity.item_size(item.attrs) if item else 0


def _same(old: Item | None, new: Item | None) -> bool:
    return old is new or (old is not None and new is not None and old.attrs == new.attrs)


def _stream_length(table: Table) -> int:
    return len(table.stream_shard.items) if table.stream_shard is not None else 0


def _cut(streams: Iterable[tuple[Table, int]]) -> None:
    """Take back what moto put on the streams: it writes down what was undone, unchanged, half made."""
    for table, length in streams:
        if table.stream_shard is not None:
            del table.stream_shard.items[length:]


def _content(parameters: Mapping[str, Any]) -> str:
    return json.dumps(parameters["TransactItems"], sort_keys=True, default=repr)
