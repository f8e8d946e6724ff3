"""A DynamoDB call taken apart: which items it reads and writes, which partitions it queries."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from .backend import Attributes, Schema, typed

Kind = Literal["get", "query", "put", "update", "delete", "check"]
WRITES = frozenset({"put", "update", "delete", "check"})

OPERATIONS = frozenset(
    {
        "GetItem",
        "BatchGetItem",
        "TransactGetItems",
        "Query",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "BatchWriteItem",
        "TransactWriteItems",
    }
)
REFUSED = frozenset({"Scan", "ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"})


@dataclass(frozen=True, slots=True)
class Action:
    """One item read or written, or one query, with the parameters that go with it."""

    kind: Kind
    table: str
    attributes: Attributes
    """The key; for a put the whole item; for a query nothing."""
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """A key that was touched. `sk` is empty for a whole partition, `index` for the table itself."""

    access: Literal["read", "write"]
    table: str
    index: str
    pk: str
    sk: str = ""


def actions_of(operation: str, parameters: Mapping[str, Any]) -> list[Action]:
    """The actions of a data operation, in the order they were given."""
    table = parameters.get("TableName", "")
    match operation:
        case "GetItem":
            return [Action("get", table, parameters["Key"], parameters)]
        case "Query":
            return [Action("query", table, {}, parameters)]
        case "PutItem":
            return [Action("put", table, parameters["Item"], parameters)]
        case "UpdateItem":
            return [Action("update", table, parameters["Key"], parameters)]
        case "DeleteItem":
            return [Action("delete", table, parameters["Key"], parameters)]
        case "BatchGetItem":
            return [
                Action("get", name, key, request)
                for name, request in parameters["RequestItems"].items()
                for key in request["Keys"]
            ]
        case "BatchWriteItem":
            return [
                Action("put", name, entry["PutRequest"]["Item"], {})
                if "PutRequest" in entry
                else Action("delete", name, entry["DeleteRequest"]["Key"], {})
                for name, entries in parameters["RequestItems"].items()
                for entry in entries
            ]
        case "TransactGetItems":
            return [
                Action("get", entry["Get"]["TableName"], entry["Get"]["Key"], entry["Get"])
                for entry in parameters["TransactItems"]
            ]
        case "TransactWriteItems":
            return [_transact_action(entry) for entry in parameters["TransactItems"]]
    raise ValueError(f"not a data operation: {operation}")


def _transact_action(entry: Mapping[str, Mapping[str, Any]]) -> Action:
    name, body = next(iter(entry.items()))
    kinds: Mapping[str, Kind] = {
        "Put": "put",
        "Update": "update",
        "Delete": "delete",
        "ConditionCheck": "check",
    }
    return Action(kinds[name], body["TableName"], body["Item" if name == "Put" else "Key"], body)


def keys_touched(action: Action, schema: Schema) -> list[Key]:
    """The base key, and of a put the keys under which the indexes will hold it."""
    if action.kind == "query":
        index = action.parameters.get("IndexName", "")
        return [Key("read", schema.table, index, partition_queried(action.parameters, schema))]
    access: Literal["read", "write"] = "read" if action.kind == "get" else "write"
    keys = [_key(access, schema, "", schema.keys, action.attributes)]
    if action.kind == "put":
        keys += index_keys(schema, action.attributes)
    return keys


def index_keys(schema: Schema, attributes: Attributes) -> list[Key]:
    """The keys under which the indexes hold an item."""
    return [
        _key("write", schema, index.name, index.keys, attributes)
        for index in schema.indexes
        if all(name in attributes for name in index.keys)
    ]


def _key(
    access: Literal["read", "write"], schema: Schema, index: str, names: Sequence[str], attributes: Attributes
) -> Key:
    values = [str(typed(attributes[name])[1]) if name in attributes else "" for name in names]
    return Key(access, schema.table, index, *values)


def partition_queried(parameters: Mapping[str, Any], schema: Schema) -> str:
    """The partition key value a Query asks for; empty if it names none (DynamoDB refuses that anyway)."""
    value = condition_value(parameters, keys_of_query(parameters, schema)[0])
    return "" if value is None else str(typed(value)[1])


def keys_of_query(parameters: Mapping[str, Any], schema: Schema) -> tuple[str, ...]:
    index = schema.index(parameters.get("IndexName", ""))
    return index.keys if index else schema.keys


def condition_value(parameters: Mapping[str, Any], attribute: str) -> Any:
    """The attribute value that `KeyConditionExpression` sets equal to an attribute, or None."""
    names = parameters.get("ExpressionAttributeNames", {})
    for name, placeholder in _equalities(parameters.get("KeyConditionExpression", "")):
        if names.get(name, name) == attribute:
            return parameters.get("ExpressionAttributeValues", {}).get(placeholder)
    return None


_EQUALITY = re.compile(r"(#?\w+)\s*=\s*(:\w+)|(:\w+)\s*=\s*(#?\w+)")


@lru_cache(maxsize=4096)
def _equalities(expression: str) -> tuple[tuple[str, str], ...]:
    return tuple((m[1], m[2]) if m[1] else (m[4], m[3]) for m in _EQUALITY.finditer(expression))


def summary(operation: str, actions: Sequence[Action], keys: Sequence[Key]) -> str:
    """One line for a person: `put D#dst_1| NODE, update ...`."""
    base = [key for key in keys if key.index == "" or key.access == "read"]
    if not base:
        return operation
    shown = [
        f"{action.kind} {key.pk} {key.sk}".rstrip() + (f" in {key.index}" if key.index else "")
        for action, key in zip(actions, base, strict=False)
    ]
    return ", ".join(shown[:4]) + (f", and {len(shown) - 4} more" if len(shown) > 4 else "")
