"""DynamoDB without the wire, so that a test takes a tenth of the time.

Without it every call goes through botocore and moto: serialized, signed, routed, parsed, serialized again. Here the
calls that the portal makes all the time are answered from moto's own tables at once; whatever is unusual, and every
condition that does not hold, still goes the long way. The harness stands before it as ever, with its refusals, faults,
roll-backs, replay tokens, its measuring and its stream.

`hurried`, for simulations of years: SQS too stands still in memory, and what DynamoDB would refuse as malformed is for
the other tests to find.
"""

import re
from base64 import b64decode, b64encode
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from botocore.client import BaseClient
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.models import table as moto_table
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from . import hook
from .actions import actions_of
from .backend import backend_of
from .faults import Call

if TYPE_CHECKING:
    from .harness import Harness

_PLAIN_EQUALITY = re.compile(r"\(?(#\d+) = (:\d+)\)?")
_NOT_THERE = re.compile(r"attribute_not_exists \((#\d+)\)")
_ONE_OF = re.compile(r"(#\d+) IN \(([:\d, ]+)\)")
_PARTITION = re.compile(r"\(?(#\d+) = (:\d+)(?: AND (.+?))?\)?$")
_BEGINS = re.compile(r"begins_with \((#\d+), (:\d+)\)?")
_COMPARED = re.compile(r"(#\d+) (<=|>=|<|>|=) (:\d+)")
_BETWEEN = re.compile(r"(#\d+) BETWEEN (:\d+) AND (:\d+)")
_ANSWERED = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}

_Key = tuple[DynamoType, DynamoType]


class _Unusual(Exception):
    """Left to moto."""


class Swift:
    """Stands where the harness would let botocore go on."""

    def __init__(self, harness: "Harness", *, hurried: bool = False) -> None:
        self._hurried = hurried
        self._weigh = harness._dynamo.weigh
        self.queues: defaultdict[str, deque[str]] = defaultdict(deque)
        """Bodies by queue, oldest first."""
        self._region = hook.REGION
        self._moto = hook.perform
        self._places: dict[str, dict[str, dict[_Key, str]]] = {}
        """By index and its partition key: the items' keys, with their sort keys in the index."""
        self._where: dict[_Key, dict[str, str]] = {}
        """By item: its partitions in the indexes."""
        self._touched: set[_Key] = set()
        self._all_anew = True
        self._streamed = 0
        self.writes = 0
        """How many calls have written, or have tried to."""
        harness.keep(self)

    @classmethod
    @contextmanager
    def on(cls, harness: "Harness", *, hurried: bool = False) -> Iterator["Swift"]:
        """Answer in the place of botocore while the block runs."""
        swift, dynamo = cls(harness, hurried=hurried), harness._dynamo
        with ExitStack() as stack:
            stack.enter_context(patch.object(hook, "perform", swift.perform))
            stack.enter_context(patch.object(dynamo, "_perform", swift.perform))
            shown_before = dynamo.before_recent_writes
            stack.enter_context(
                patch.object(
                    dynamo,
                    "before_recent_writes",
                    lambda call, window: swift._seeing(shown_before(call, window)),
                )
            )
            if hurried:
                stack.enter_context(patch.object(dynamo, "examine", _taken_apart))
                # Only to say how long a record of the stream is.
                stack.enter_context(patch.object(moto_table, "dynamo_json_dump", lambda record: ""))
            yield swift

    @contextmanager
    def _seeing(self, older: AbstractContextManager[None]) -> Iterator[None]:
        """Other items for a while, of which the indexes have not heard."""
        self._all_anew = True
        with older:
            yield
        self._all_anew = True

    def snapshot(self) -> tuple[int, dict[str, list[str]]]:
        return self._streamed, {name: list(bodies) for name, bodies in self.queues.items()}

    def restore(self, state: tuple[int, dict[str, list[str]]]) -> None:
        self._streamed, queues = state
        self.queues.clear()
        self.queues.update({name: deque(bodies) for name, bodies in queues.items()})
        self._all_anew = True

    def take(self, queue: str) -> list[str]:
        """All messages of a queue, by the last part of its address."""
        return list(self.queues.pop(queue, ()))

    def look(self, pk: str, prefix: str) -> list[dict[str, Any]]:
        """The items of a partition whose sort keys begin so, in order, as a client gets them."""
        found = [(sk, item) for sk, item in self._in_partition(pk) if sk.startswith(prefix)]
        return [_plain(item) for _, item in sorted(found, key=lambda each: each[0])]

    def forget_expired(self, epoch: float) -> int:
        """Delete what DynamoDB would have deleted by then, by its time to live; returns how much that was.

        The outbox stays, from which can be seen what was ever sent.
        """
        table, gone = self._table(), []
        for partition in table.items.values():
            for item in partition.values():
                expires = item.attrs.get("expires_at")
                if (
                    expires is None
                    or float(expires.value) > epoch
                    or item.range_key.value.startswith("OUTBOX")
                ):
                    continue
                gone.append((item.hash_key, item.range_key))
        for key in gone:
            del table.items[key[0]][key[1]]
        self._touched.update(gone)
        return len(gone)

    def streamed(self, kind: str) -> list[dict[str, Any]]:
        """What the table's stream holds since the last time of new items of a kind."""
        shard: Any = self._table().stream_shard
        fresh = shard.items[self._streamed :]
        self._streamed = len(shard.items)
        return [record.to_json() for record in fresh if _is_new(record.record, kind)]

    def perform(self, client: BaseClient, operation: str, parameters: Mapping[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        if self._hurried and service == "sqs" and operation == "SendMessageBatch":
            return self._send(parameters)
        if service != "dynamodb":
            return self._moto(client, operation, parameters)
        self.writes += operation not in ("GetItem", "BatchGetItem", "Query")
        answering = getattr(self, f"_{operation}", None)
        if answering is None:
            return self._moto(client, operation, parameters)
        try:
            return {**answering(parameters), "ResponseMetadata": _ANSWERED}
        except _Unusual:
            return self._moto(client, operation, parameters)

    def _send(self, parameters: Mapping[str, Any]) -> Any:
        queue = self.queues[parameters["QueueUrl"].rpartition("/")[2]]
        queue.extend(entry["MessageBody"] for entry in parameters["Entries"])
        done = [{"Id": entry["Id"], "MessageId": entry["Id"]} for entry in parameters["Entries"]]
        return {"Successful": done, "ResponseMetadata": _ANSWERED}

    # Reading

    def _GetItem(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        item = self._find(_key(asked["Key"]))
        return {} if item is None else {"Item": _plain(item)}

    def _BatchGetItem(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        responses = {
            name: [_plain(item) for key in request["Keys"] if (item := self._find(_key(key))) is not None]
            for name, request in asked["RequestItems"].items()
        }
        return {"Responses": responses, "UnprocessedKeys": {}}

    def _Query(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        if "ExclusiveStartKey" in asked:
            raise _Unusual
        names, values = asked.get("ExpressionAttributeNames", {}), asked["ExpressionAttributeValues"]
        parts = _PARTITION.match(asked["KeyConditionExpression"])
        if parts is None:
            raise _Unusual
        pk, index = values[parts[2]]["S"], asked.get("IndexName")
        found = self._in_index(index, pk) if index else self._in_partition(pk)
        if parts[3]:
            low, high = _bounds(parts[3], values)
            found = [(sk, item) for sk, item in found if low <= sk and (high is None or sk <= high)]
            if begun := _BEGINS.match(parts[3]):
                prefix = values[begun[2]]["S"]
                found = [(sk, item) for sk, item in found if sk.startswith(prefix)]
        found.sort(key=lambda each: each[0], reverse=not asked.get("ScanIndexForward", True))
        answer: dict[str, Any] = {}
        limit = asked.get("Limit")
        if limit is not None and len(found) > limit:
            if index:
                raise _Unusual
            found = found[:limit]
            last = found[-1][1].attrs
            answer["LastEvaluatedKey"] = {name: {"S": last[name].value} for name in ("pk", "sk")}
        self._weigh([item for _, item in found])
        items = [item for _, item in found]
        if only := asked.get("FilterExpression"):
            items = [item for item in items if _holds(only, names, values, item)]
        shown = [_plain(item) for item in items]
        if projected := asked.get("ProjectionExpression"):
            wanted = {names.get(name.strip(), name.strip()) for name in projected.split(",")}
            shown = [{name: value for name, value in item.items() if name in wanted} for item in shown]
        return {**answer, "Items": shown, "Count": len(shown), "ScannedCount": len(found)}

    def _in_partition(self, pk: str) -> list[tuple[str, Item]]:
        found: Any = self._table().items.get(DynamoType({"S": pk}))
        return [(sk.value, item) for sk, item in found.items()] if found else []

    def _in_index(self, index: str, pk: str) -> list[tuple[str, Item]]:
        self._catch_up()
        keys = self._places.get(index, {}).get(pk, {})
        return [(sk, item) for key, sk in keys.items() if (item := self._find(key)) is not None]

    def _catch_up(self) -> None:
        """Bring the indexes in line with what was written since the last time."""
        table = self._table()
        if self._all_anew:
            self._places, self._where, self._all_anew = {}, {}, False
            self._touched = {(pk, sk) for pk, partition in table.items.items() for sk in partition}
        for key in self._touched:
            for index, partition in self._where.pop(key, {}).items():
                del self._places[index][partition][key]
            item = self._find(key)
            if item is None:
                continue
            stands = self._where[key] = {}
            for index in table.global_indexes:
                pk_name, sk_name = index.schema_key_attrs
                pk, sk = item.attrs.get(pk_name), item.attrs.get(sk_name)
                if pk is not None and sk is not None:
                    stands[index.name] = pk.value
                    self._places.setdefault(index.name, {}).setdefault(pk.value, {})[key] = sk.value
        self._touched.clear()

    def _find(self, key: _Key) -> Item | None:
        partition: Any = self._table().items.get(key[0])
        return partition.get(key[1]) if partition else None

    def _table(self) -> Table:
        return next(iter(backend_of(self._region).tables.values()))

    # Writing

    def _PutItem(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._check([asked])
        self._put(asked)
        return {}

    def _DeleteItem(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._check([asked])
        self._delete(asked)
        return {}

    def _UpdateItem(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = _key(asked["Key"])
        self._touched.add(key)
        # It is about to be another.
        vars(self._find(key) or self).pop("as_sent", None)
        raise _Unusual

    def _BatchWriteItem(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        for requests in asked["RequestItems"].values():
            for request in requests:
                if "PutRequest" in request:
                    self._put(request["PutRequest"])
                else:
                    self._delete(request["DeleteRequest"])
        return {"UnprocessedItems": {}}

    def _TransactWriteItems(self, asked: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        actions = [(kind, of) for entry in asked["TransactItems"] for kind, of in entry.items()]
        self._touched.update(_key(of.get("Key") or of["Item"]) for _, of in actions)
        self._check([of for _, of in actions])
        for kind, of in actions:
            if kind == "Put":
                self._put(of)
            elif kind == "Delete":
                self._delete(of)
            elif kind == "Update":
                backend_of(self._region).update_item(
                    of["TableName"],
                    of["Key"],
                    of["UpdateExpression"],
                    of.get("ExpressionAttributeNames", {}),
                    of.get("ExpressionAttributeValues", {}),
                )
                item = self._find(_key(of["Key"]))
                vars(item).pop("as_sent", None)
        return {}

    def _check(self, asked: Sequence[Mapping[str, Any]]) -> None:
        """Whether all conditions hold; moto knows how to say that one does not."""
        for of in asked:
            self._touched.add(_key(of.get("Key") or of["Item"]))
            condition = of.get("ConditionExpression")
            item = self._find(_key(of.get("Key") or of["Item"]))
            names = of.get("ExpressionAttributeNames", {})
            if condition and not _holds(condition, names, of.get("ExpressionAttributeValues", {}), item):
                raise _Unusual

    def _put(self, asked: Mapping[str, Any]) -> None:
        sent = asked["Item"]
        stored = {name: _on_the_wire(value) if "B" in value else value for name, value in sent.items()}
        key = _key(sent)
        self._touched.add(key)
        self._table().items[key[0]][key[1]] = Item(*key, stored)

    def _delete(self, asked: Mapping[str, Any]) -> None:
        key = _key(asked["Key"])
        self._touched.add(key)
        items: Any = self._table().items
        if key[0] in items:
            items[key[0]].pop(key[1], None)


def _taken_apart(client: BaseClient, call: Call) -> bool:
    call.actions = tuple(actions_of(call.operation, call.parameters))
    return True


def _is_new(record: Mapping[str, Any], kind: str) -> bool:
    told = record["dynamodb"]
    return "OldImage" not in told and told.get("NewImage", {}).get("kind", {}).get("S") == kind


def _key(attributes: Mapping[str, Any]) -> _Key:
    return DynamoType(attributes["pk"]), DynamoType(attributes["sk"])


def _on_the_wire(value: Mapping[str, Any]) -> dict[str, Any]:
    """Bytes as moto keeps them."""
    return {"B": b64encode(value["B"]).decode()}


def _plain(item: Item) -> dict[str, Any]:
    """An item as a client gets it. Items are never changed in place, so it is worked out once."""
    known: dict[str, Any] | None = vars(item).get("as_sent")
    if known is None:
        known = {
            name: {"B": b64decode(value.value)} if value.type == "B" else value.to_regular_json()
            for name, value in item.attrs.items()
        }
        vars(item)["as_sent"] = known
    return dict(known)


def _bounds(condition: str, values: Mapping[str, Any]) -> tuple[str, str | None]:
    """Between which sort keys, both included."""
    if _BEGINS.match(condition):
        return "", None
    if between := _BETWEEN.match(condition):
        return values[between[2]]["S"], values[between[3]]["S"]
    compared = _COMPARED.match(condition)
    if compared is None or compared[2] not in ("<=", ">="):
        raise _Unusual
    bound = values[compared[3]]["S"]
    return ("", bound) if compared[2] == "<=" else (bound, None)


def _holds(condition: str, names: Mapping[str, str], values: Mapping[str, Any], item: Item | None) -> bool:
    if parts := _NOT_THERE.fullmatch(condition):
        return item is None or names[parts[1]] not in item.attrs
    if parts := _PLAIN_EQUALITY.fullmatch(condition):
        held = item.attrs.get(names[parts[1]]) if item else None
        return held is not None and held == DynamoType(values[parts[2]])
    if item is not None and (parts := _ONE_OF.fullmatch(condition)):
        held = item.attrs.get(names[parts[1]])
        return held is not None and any(
            {held.type: held.value} == values[each.strip()] for each in parts[2].split(",")
        )
    return bool(get_filter_expression(condition, dict(names), dict(values)).expr(item))
