"""DynamoDB for the billing run alone: one table in a SQLite file, as fast as it gets and light enough to be measured beside.

It knows the calls and expressions that the run makes, refuses all others, and counts what DynamoDB would charge. How far
it does as the harness does, `test_bench.py` says.
"""

import marshal
import math
import operator
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError

Item = dict[str, dict[str, Any]]
"""As DynamoDB spells it: `{"pk": {"S": "..."}}`."""

_INDEXES = {
    "by_parent": ("parent_pk", "parent_sk"),
    "by_distributor": ("distributor_pk", "distributor_sk"),
    "by_due": ("due_pk", "due_sk"),
}
_KEY = ("pk", "sk")
_KEYS = (*_KEY, *(name for names in _INDEXES.values() for name in names))
_PAGE = 1_048_576


class NotPlayed(Exception):
    """A call that no billing run makes: this stand-in has no answer to it, rather than a wrong one."""


class LeanTable:
    """`counts` holds the calls by name, and `read_units` and `write_units`, those of indexes included."""

    def __init__(self, file: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.queues: dict[str, list[str]] = {}
        """Messages sent, by the queue's address."""
        self.files: dict[str, bytes] = {}
        """Files written, by key."""
        self._rows = sqlite3.connect(file, isolation_level=None)
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -4000"):
            self._rows.execute(f"PRAGMA {setting}")
        columns = ", ".join(f"{name} TEXT" for name in _KEYS)
        self._rows.execute(
            f"CREATE TABLE IF NOT EXISTS items ({columns}, body BLOB, PRIMARY KEY (pk, sk)) WITHOUT ROWID"
        )
        for name, (pk, sk) in _INDEXES.items():
            self._rows.execute(
                f"CREATE INDEX IF NOT EXISTS {name} ON items ({pk}, {sk}) WHERE {pk} IS NOT NULL"
            )

    def on(self) -> AbstractContextManager[Any]:
        """Answer every call to AWS while the block runs."""

        def call(client: BaseClient, name: str, parameters: Mapping[str, Any]) -> Any:
            return self._answer(client.meta.service_model.service_name, name, parameters)

        return patch.object(BaseClient, "_make_api_call", call)

    def fill(self, items: Iterable[Item]) -> None:
        """Put items at no charge."""
        self._rows.execute("BEGIN")
        for item in items:
            self._store(item)
        self._rows.execute("COMMIT")

    def items(self) -> Iterator[Item]:
        for (body,) in self._rows.execute("SELECT body FROM items ORDER BY pk, sk"):
            yield marshal.loads(body)

    def close(self) -> None:
        self._rows.close()

    def _answer(self, service: str, name: str, parameters: Mapping[str, Any]) -> Any:
        self.counts[f"{service}.{name}"] += 1
        self.counts["calls"] += 1
        match service, name:
            case "dynamodb", "GetItem":
                return self._get(parameters)
            case "dynamodb", "BatchGetItem":
                return self._get_many(parameters["RequestItems"])
            case "dynamodb", "Query":
                return self._query(parameters)
            case "dynamodb", "PutItem":
                action = {"Put": parameters}
                if not self._holds(action):
                    raise _refusal("ConditionalCheckFailedException", name)
                self._write(action, factor=1)
                return {}
            case "dynamodb", "TransactWriteItems":
                actions = parameters["TransactItems"]
                failed = [not self._holds(action) for action in actions]
                if any(failed):
                    raise _refusal("TransactionCanceledException", name, failed)
                for action in actions:
                    self._write(action, factor=2)
                return {}
            case "sqs", "SendMessageBatch":
                texts = [entry["MessageBody"] for entry in parameters["Entries"]]
                self.queues.setdefault(parameters["QueueUrl"], []).extend(texts)
                return {}
            case "s3", "HeadObject":
                raise _refusal("404", name)
            case "s3", "PutObject":
                self.files[parameters["Key"]] = parameters["Body"]
                return {}
        raise NotPlayed(f"{service}.{name}")

    # Reading

    def _get(self, parameters: Mapping[str, Any]) -> Any:
        item = self._find(parameters["Key"])
        self._charge_reading(_size(item) if item else 0, parameters)
        return {"Item": item} if item else {}

    def _get_many(self, wanted: Mapping[str, Any]) -> Any:
        [(table, request)] = wanted.items()
        found = []
        for key in request["Keys"]:
            item = self._find(key)
            self._charge_reading(_size(item) if item else 0, request)
            found += [item] if item else []
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def _query(self, parameters: Mapping[str, Any]) -> Any:
        keys = _INDEXES[parameters["IndexName"]] if "IndexName" in parameters else _KEY
        clauses = _clauses(parameters, "KeyConditionExpression")
        where, values = [], []
        for name, how, given in clauses:
            spelled = {"begins_with": f"substr({name}, 1, ?) = ?", "BETWEEN": f"{name} BETWEEN ? AND ?"}
            where.append(spelled.get(how, f"{name} {how} ?"))
            values += [len(given[0]), given[0]] if how == "begins_with" else given
            if how == "begins_with":
                where.append(f"{name} >= ?")
                values.append(given[0])
        back = not parameters.get("ScanIndexForward", True)
        if start := parameters.get("ExclusiveStartKey"):
            names = keys[1:] if keys == _KEY else (keys[1], *_KEY)
            where.append(f"({', '.join(names)}) {'<' if back else '>'} ({', '.join('?' * len(names))})")
            values += [start[name]["S"] for name in names]
        way = "DESC" if back else "ASC"
        order = ", ".join(f"{name} {way}" for name in dict.fromkeys((keys[1], *_KEY)))
        rows = self._rows.execute(
            f"SELECT body FROM items WHERE {' AND '.join(where)} ORDER BY {order}", values
        )
        shown = _clauses(parameters, "FilterExpression")
        limit, read, size, found = parameters.get("Limit", math.inf), 0, 0, []
        last: Item | None = None
        for (body,) in rows:
            item = marshal.loads(body)
            if read == limit or size + _size(item) > _PAGE:
                break
            read, size, last = read + 1, size + _size(item), item
            found += [item] if _meets(item, shown) else []
        else:
            last = None
        self._charge_reading(size, parameters)
        answer = {"Items": found, "Count": len(found), "ScannedCount": read}
        if last:
            answer["LastEvaluatedKey"] = {name: last[name] for name in {*keys, *_KEY}}
        return answer

    def _find(self, key: Item) -> Item | None:
        row = self._rows.execute(
            "SELECT body FROM items WHERE pk = ? AND sk = ?", [key[name]["S"] for name in _KEY]
        ).fetchone()
        return marshal.loads(row[0]) if row else None

    def _charge_reading(self, size: int, parameters: Mapping[str, Any]) -> None:
        blocks = max(1, math.ceil(size / 4096))
        # A Counter takes halves, whatever its type says.
        self.counts["read_units"] += blocks if parameters.get("ConsistentRead") else blocks / 2  # type: ignore[assignment]

    # Writing

    def _holds(self, action: Mapping[str, Mapping[str, Any]]) -> bool:
        [(kind, body)] = action.items()
        if kind not in ("Put", "Delete", "ConditionCheck"):
            raise NotPlayed(kind)
        key = body["Item"] if kind == "Put" else body["Key"]
        return _meets(self._find(key) or {}, _clauses(body, "ConditionExpression"))

    def _write(self, action: Mapping[str, Mapping[str, Any]], factor: int) -> None:
        [(kind, body)] = action.items()
        old = self._find(body["Item"] if kind == "Put" else body["Key"])
        new = body["Item"] if kind == "Put" else None if kind == "Delete" else old
        size = max(_size(image) if image else 0 for image in (old, new))
        self.counts["write_units"] += factor * max(1, math.ceil(size / 1024)) + _index_units(old, new)
        if new is None:
            self._rows.execute(
                "DELETE FROM items WHERE pk = ? AND sk = ?", [body["Key"][name]["S"] for name in _KEY]
            )
        elif new is not old:
            self._store(new)

    def _store(self, item: Item) -> None:
        keys = [item[name]["S"] if name in item else None for name in _KEYS]
        marks = ", ".join("?" * (len(_KEYS) + 1))
        self._rows.execute(f"INSERT OR REPLACE INTO items VALUES ({marks})", [*keys, marshal.dumps(item)])


def _size(item: Item) -> int:
    return sum(len(name) + _value_size(value) for name, value in item.items())


def _value_size(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content) if content.isascii() else len(content.encode())
        case "N":
            digits = content.lstrip("-").replace(".", "").strip("0")
            return min(21, math.ceil(len(digits) / 2) + 1 + content.startswith("-"))
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
    raise NotPlayed(kind)


def _index_units(old: Item | None, new: Item | None) -> int:
    units = 0
    for names in _INDEXES.values():
        was, becomes = (
            image if image and all(name in image for name in names) else None for image in (old, new)
        )
        if was == becomes:
            continue
        if was and becomes and all(was[name] == becomes[name] for name in names):
            units += max(1, math.ceil(max(_size(was), _size(becomes)) / 1024))
        else:
            units += sum(max(1, math.ceil(_size(entry) / 1024)) for entry in (was, becomes) if entry)
    return units


_CLAUSE = re.compile(
    r"(?P<function>attribute_exists|attribute_not_exists|begins_with) \((?P<path>#\d+)(?:, (?P<prefix>:\d+))?\)"
    r"|(?P<name>#\d+) (?:(?P<how>=|<=|<) (?P<value>:\d+)|BETWEEN (?P<low>:\d+) AND (?P<high>:\d+)"
    r"|IN \((?P<several>:\d+(?:, :\d+)*)\))"
)
_COMPARED = {"=": operator.eq, "<": operator.lt, "<=": operator.le}


def _clauses(body: Mapping[str, Any], which: str) -> list[tuple[str, str, list[str]]]:
    """What all has to hold, as (attribute, comparison or function, values)."""
    text = body.get(which, "")
    if re.sub(r"AND|[() ]", "", _CLAUSE.sub("", text)):
        raise NotPlayed(text)
    found = []
    for match in _CLAUSE.finditer(text):
        part = match.groupdict()
        values = [part[name] for name in ("prefix", "value", "low", "high") if part[name]]
        values += part["several"].split(", ") if part["several"] else []
        found.append(
            (
                body["ExpressionAttributeNames"][part["path"] or part["name"]],
                part["function"] or part["how"] or ("IN" if part["several"] else "BETWEEN"),
                [next(iter(body["ExpressionAttributeValues"][value].values())) for value in values],
            )
        )
    return found


def _meets(item: Item, clauses: Iterable[tuple[str, str, list[str]]]) -> bool:
    for name, how, given in clauses:
        if how in ("attribute_exists", "attribute_not_exists"):
            if (name in item) != (how == "attribute_exists"):
                return False
        elif name not in item or not _compares(how, next(iter(item[name].values())), given):
            return False
    return True


def _compares(how: str, value: str, given: list[str]) -> bool:
    return value in given if how == "IN" else bool(_COMPARED[how](value, given[0]))


def _refusal(code: str, operation: str, failed: Iterable[bool] = ()) -> ClientError:
    reasons = [{"Code": "ConditionalCheckFailed" if each else "None"} for each in failed]
    answer: Any = {"Error": {"Code": code, "Message": code}, "CancellationReasons": reasons}
    return ClientError(answer, operation)
