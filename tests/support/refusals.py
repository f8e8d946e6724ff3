"""What DynamoDB refuses and moto accepts. Every function answers with DynamoDB's message, or None if it would
accept.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from . import capacity
from .actions import Action, condition_value, keys_of_query
from .backend import Attributes, Schema, typed

MAX_ITEM = 400 * 1024
MAX_TRANSACTION = 4 * 1024 * 1024
MAX_BATCH = 16 * 1024 * 1024

_INVALID = "One or more parameter values were invalid: "
_NOT_VALID = "One or more parameter values are not valid. "
_EMPTY = "The AttributeValue for a key attribute cannot contain an empty string value. "
_MORE_DIGITS = "Attempting to store more than 38 significant digits in a Number"
_TOO_BIG = "Item size has exceeded the maximum allowed size"
_DUPLICATES = "Provided list of item keys contains duplicates"
TRANSACTION_TOO_BIG = "The aggregate size of the items in the transaction exceeds 4 MB"

_EXPRESSIONS = (
    "KeyConditionExpression",
    "FilterExpression",
    "ConditionExpression",
    "UpdateExpression",
    "ProjectionExpression",
)


def objection(
    operation: str,
    parameters: Mapping[str, Any],
    actions: Sequence[Action],
    schema_of: Callable[[str], Schema],
) -> str | None:
    """The first reason to refuse a call before it does anything."""
    return (
        _counts(operation, parameters, actions)
        or _first(_action(action, schema_of(action.table)) for action in actions)
        or _repeats(operation, actions, schema_of)
        or _sizes(operation, actions)
    )


def _first(reasons: Iterable[str | None]) -> str | None:
    return next((reason for reason in reasons if reason), None)


def _counts(operation: str, parameters: Mapping[str, Any], actions: Sequence[Action]) -> str | None:
    if operation in ("TransactWriteItems", "TransactGetItems") and not 1 <= len(actions) <= 100:
        bound = "less than or equal to 100" if actions else "greater than or equal to 1"
        return _constraint("transactItems", f"Member must have length {bound}")
    if operation in ("BatchWriteItem", "BatchGetItem"):
        if not actions or not all(parameters["RequestItems"].values()):
            return _constraint("requestItems", "Member must have length greater than or equal to 1")
        limit = 25 if operation == "BatchWriteItem" else 100
        if len(actions) > limit and len(parameters["RequestItems"]) > 1:
            return f"Too many items requested for the {operation} call"
        if len(actions) > limit:
            return _constraint("requestItems", f"Member must have length less than or equal to {limit}")
    return None


def _constraint(at: str, what: str) -> str:
    return f"1 validation error detected: Value at '{at}' failed to satisfy constraint: {what}"


def _repeats(operation: str, actions: Sequence[Action], schema_of: Callable[[str], Schema]) -> str | None:
    if len(actions) < 2:
        return None
    seen = {
        (action.table, *(typed(action.attributes[name]) for name in schema_of(action.table).keys))
        for action in actions
    }
    if len(seen) == len(actions):
        return None
    if operation.startswith("Transact"):
        return "Transaction request cannot include multiple operations on one item"
    return _DUPLICATES


def _sizes(operation: str, actions: Sequence[Action]) -> str | None:
    sizes = [capacity.item_size(action.attributes) for action in actions if action.kind == "put"]
    if any(size > MAX_ITEM for size in sizes):
        return _TOO_BIG
    if operation == "TransactWriteItems" and sum(sizes) > MAX_TRANSACTION:
        return TRANSACTION_TOO_BIG
    if operation == "BatchWriteItem" and sum(sizes) > MAX_BATCH:
        return "Request size exceeds 16 MB"
    return None


def _action(action: Action, schema: Schema) -> str | None:
    if action.kind == "query":
        return _expressions(action.parameters) or _query(action.parameters, schema)
    if action.kind == "put":
        return _item(action.attributes, schema) or _expressions(action.parameters)
    return _key(action.attributes, schema) or _expressions(action.parameters)


def _key(key: Attributes, schema: Schema) -> str | None:
    if set(key) != set(schema.keys) or any(
        typed(value)[0] != schema.types[name] for name, value in key.items()
    ):
        return "The provided key element does not match the schema"
    for name, value in key.items():
        if not typed(value)[1]:
            return f"{_NOT_VALID}{_EMPTY}Key: {name}"
    return _key_sizes(key, schema)


def _key_sizes(attributes: Attributes, schema: Schema) -> str | None:
    for names in (schema.keys, *(index.keys for index in schema.indexes)):
        for name, limit, which in zip(names, (2048, 1024), ("hash", "range"), strict=False):
            if name in attributes and capacity.value_size(attributes[name]) > limit:
                return f"{_INVALID}Size of {which}key has exceeded the maximum size limit of {limit} bytes"
    return None


def _item(item: Attributes, schema: Schema) -> str | None:
    for name in schema.keys:
        if name not in item:
            return f"{_INVALID}Missing the key {name} in the item"
        kind, content = typed(item[name])
        if kind != schema.types[name]:
            return f"{_INVALID}Type mismatch for key {name} expected: {schema.types[name]} actual: {kind}"
        if not content:
            return f"{_NOT_VALID}{_EMPTY}Key: {name}"
    return stored_item_objection(item, schema)


def stored_item_objection(item: Attributes, schema: Schema) -> str | None:
    """What is wrong with an item as it is to be stored: index keys, values. Size is checked apart."""
    for index in schema.indexes:
        for name in index.keys:
            if name not in item:
                continue
            kind, content = typed(item[name])
            if kind != schema.types[name]:
                return (
                    f"{_INVALID}Type mismatch for Index Key {name} Expected: {schema.types[name]} "
                    f"Actual: {kind} IndexName: {index.name}"
                )
            if not content:
                return (
                    f"{_NOT_VALID}A value specified for a secondary index key is not supported. "
                    f"{_EMPTY}IndexName: {index.name}, IndexKey: {name}"
                )
    return _key_sizes(item, schema) or _first(value_objection(value) for value in item.values())


def size_objection(item: Attributes) -> str | None:
    if capacity.item_size(item) > MAX_ITEM:
        return "Item size to update has exceeded the maximum allowed size"
    return None


def value_objection(value: Any, depth: int = 1) -> str | None:
    """What is wrong with one attribute value."""
    kind, content = typed(value)
    if kind == "N":
        return number_objection(content)
    if kind == "L":
        return _nested(content, depth)
    if kind == "M":
        return _nested(content.values(), depth)
    if kind in ("SS", "NS", "BS"):
        if not content:
            return f"{_INVALID}An {_SETS[kind]} set may not be empty"
        if len(set(content)) != len(content):
            return f"{_INVALID}Input collection contains duplicates."
        if kind == "NS":
            return _first(map(number_objection, content))
    return None


_SETS = {"SS": "string", "NS": "number", "BS": "binary"}


def _nested(values: Iterable[Any], depth: int) -> str | None:
    if depth >= 32:
        return "Nesting Levels have exceeded supported limits"
    return _first(value_objection(value, depth + 1) for value in values)


_NUMBER = re.compile(r"[+-]?(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")


def number_objection(text: str) -> str | None:
    match = _NUMBER.fullmatch(text)
    if not match or not (match[1] or match[2]):
        return f"The parameter cannot be converted to a numeric value: {text}"
    if len(text) <= 38 and match[3] is None:
        return None
    whole, fraction = match[1], match[2] or ""
    digits = (whole + fraction).strip("0")
    if not digits:
        return None
    if len(digits) > 38:
        return _MORE_DIGITS
    leading = len(whole + fraction) - len((whole + fraction).lstrip("0"))
    magnitude = len(whole) - leading - 1 + int(match[3] or 0)
    if magnitude > 125:
        return "Number overflow. Attempting to store a number with magnitude larger than supported range"
    if magnitude < -130:
        return "Number underflow. Attempting to store a number with magnitude smaller than supported range"
    return None


@dataclass(frozen=True)
class _Expression:
    names: frozenset[str]
    values: frozenset[str]
    roots: frozenset[str]
    """First elements of the paths, placeholders or bare names."""
    reserved: str | None


_PATH = re.compile(r"(?<![\w:#.])(#\w+|[A-Za-z_]\w*)((?:\.#?\w+|\[\d+\])*)(\s*\()?")
_WORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"})


@cache
def _reserved() -> frozenset[str]:
    return frozenset(ReservedKeywords.get_reserved_keywords())


@lru_cache(maxsize=4096)
def _parse(expression: str) -> _Expression:
    roots, reserved = set(), None
    for match in _PATH.finditer(expression):
        root, rest, is_function = match[1], match[2], match[3]
        if root.upper() in _WORDS or (is_function and not root.startswith("#")):
            continue
        roots.add(root)
        bare = [part for part in (root, *re.findall(r"\.(\w+)", rest)) if not part.startswith("#")]
        reserved = reserved or next((part for part in bare if part.upper() in _reserved()), None)
    return _Expression(
        frozenset(re.findall(r"#\w+", expression)),
        frozenset(re.findall(r":\w+", expression)),
        frozenset(roots),
        reserved,
    )


def _expressions(parameters: Mapping[str, Any]) -> str | None:
    given = [(which, _parse(parameters[which])) for which in _EXPRESSIONS if parameters.get(which)]
    for which, expression in given:
        if expression.reserved:
            word = expression.reserved
            return f"Invalid {which}: Attribute name is a reserved keyword; reserved keyword: {word}"
    for attribute, used, what in (
        (
            "ExpressionAttributeNames",
            {name for _, e in given for name in e.names},
            "an expression attribute name",
        ),
        (
            "ExpressionAttributeValues",
            {name for _, e in given for name in e.values},
            "an expression attribute value",
        ),
    ):
        defined = parameters.get(attribute)
        if defined is not None and not defined:
            return f"{attribute} must not be empty"
        if defined and not given:
            return f"{attribute} can only be specified when using expressions"
        if undefined := used - set(defined or ()):
            missing = ", ".join(sorted(undefined))
            return f"Invalid expression: {what} used in the expression is not defined: {missing}"
        if unused := set(defined or ()) - used:
            return (
                f"Value provided in {attribute} unused in expressions: keys: {{{', '.join(sorted(unused))}}}"
            )
    values = parameters.get("ExpressionAttributeValues") or {}
    return _first(value_objection(value) for value in values.values())


def _query(parameters: Mapping[str, Any], schema: Schema) -> str | None:
    index = schema.index(parameters.get("IndexName", ""))
    if index and index.is_global and parameters.get("ConsistentRead"):
        return "Consistent reads are not supported on global secondary indexes"
    keys = keys_of_query(parameters, schema)
    return (
        _key_condition(parameters, schema, keys)
        or _filter(parameters, keys)
        or _start_key(parameters, schema, keys)
    )


_BETWEEN = re.compile(r"BETWEEN\s+(:\w+)\s+AND\s+(:\w+)", re.IGNORECASE)


def _key_condition(parameters: Mapping[str, Any], schema: Schema, keys: Sequence[str]) -> str | None:
    text = parameters.get("KeyConditionExpression")
    if not text:
        return (
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    values = parameters.get("ExpressionAttributeValues") or {}
    partition = condition_value(parameters, keys[0])
    if partition is None:
        return f"Query condition missed key schema element: {keys[0]}"
    for placeholder in _parse(text).values:
        value = values[placeholder]
        name = keys[0] if value is partition else keys[-1]
        if typed(value)[0] != schema.types[name]:
            return f"{_INVALID}Condition parameter type does not match schema type"
        if not typed(value)[1]:
            return f"{_NOT_VALID}{_EMPTY}Key: {name}"
    if match := _BETWEEN.search(text):
        low, high = (_comparable(values[placeholder]) for placeholder in match.groups())
        if low > high:
            return (
                "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater "
                "than or equal to lower bound"
            )
    return None


def _comparable(value: Any) -> Any:
    kind, content = typed(value)
    return Decimal(content) if kind == "N" else content.encode() if kind == "S" else content


def _filter(parameters: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    if not parameters.get("FilterExpression"):
        return None
    names = parameters.get("ExpressionAttributeNames") or {}
    for root in sorted(_parse(parameters["FilterExpression"]).roots):
        if names.get(root, root) in keys:
            return (
                "Filter Expression can only contain non-primary key attributes: "
                f"Primary key attribute: {names.get(root, root)}"
            )
    return None


def _start_key(parameters: Mapping[str, Any], schema: Schema, keys: Sequence[str]) -> str | None:
    start = parameters.get("ExclusiveStartKey")
    if not start:
        return None
    if set(start) != {*keys, *schema.keys} or any(
        typed(v)[0] != schema.types[name] for name, v in start.items()
    ):
        return "The provided starting key is invalid"
    partition = condition_value(parameters, keys[0])
    if typed(start[keys[0]]) != typed(partition):
        return "The provided starting key is outside query boundaries based on provided conditions"
    return None
