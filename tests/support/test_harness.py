"""The harness does what it says: every refusal refuses, every fault happens, every rule that is broken is
seen.
"""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError, TransactWriteError
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite
from requests.adapters import HTTPAdapter

from . import capacity, refusals
from . import scheduler as scheduler_module
from .clock import FakeClock, SeededBytes
from .errors import Crash, FaultMisused, NetworkRefused, OperationRefused, OutsideSubtree
from .faults import Call, Fault
from .harness import Harness
from .scheduler import Outcome, Scheduler, SchedulerStuck
from .table import create_table, table_properties

ROOT = Path(__file__).parents[2]
T = "portal"
MEGABYTE = 1024 * 1024


@pytest.fixture
def harness() -> Iterator[Harness]:
    with Harness() as on:
        yield on
    on.verify()


@pytest.fixture
def db(harness: Harness) -> Any:
    client = boto3.client("dynamodb")
    create_table(client, T)
    return client


def item(pk: str = "D#1|", sk: str = "NODE", **more: Any) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}, **more}


def key(pk: str = "D#1|", sk: str = "NODE") -> dict[str, Any]:
    return item(pk, sk)


def put(db: Any, pk: str = "D#1|", sk: str = "NODE", **more: Any) -> Any:
    return db.put_item(TableName=T, Item=item(pk, sk, **more))


def put_action(pk: str = "D#1|", sk: str = "NODE", **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": T, "Item": item(pk, sk, **more)}}


def get(db: Any, pk: str = "D#1|", sk: str = "NODE", **more: Any) -> Any:
    return db.get_item(TableName=T, Key=key(pk, sk), **more).get("Item")


def children(db: Any, of: str = "D#1|", **more: Any) -> list[str]:
    found = db.query(
        TableName=T,
        IndexName="by_parent",
        KeyConditionExpression="parent_pk = :p",
        ExpressionAttributeValues={":p": {"S": of}},
        **more,
    )
    return [one["sk"]["S"] for one in found["Items"]]


def child(sk: str, of: str = "D#1|") -> dict[str, Any]:
    return {"parent_pk": {"S": of}, "parent_sk": {"S": sk}}


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def add_one(db: Any, sk: str = "COUNT") -> None:
    """Adds one the wrong way: reads, then writes."""
    found = get(db, sk=sk, ConsistentRead=True)
    put(db, sk=sk, n={"N": str(int(found["n"]["N"]) + 1 if found else 1)})


def count(db: Any, sk: str = "COUNT") -> int:
    found = get(db, sk=sk, ConsistentRead=True)
    return int(found["n"]["N"]) if found else 0


# The table


def test_the_table_is_the_templates(db: Any) -> None:
    described = db.describe_table(TableName=T)["Table"]
    assert [entry["AttributeName"] for entry in described["KeySchema"]] == ["pk", "sk"]
    assert {index["IndexName"] for index in described["GlobalSecondaryIndexes"]} == {
        "by_parent",
        "by_distributor",
        "by_due",
        "audit_by_user",
        "audit_by_account",
        "audit_by_activity",
    }
    assert described["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert db.describe_time_to_live(TableName=T)["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"


def test_cloudformation_short_forms_are_read(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(
        "Resources: {Table: {Properties: {A: !Ref X, B: !Sub 'a${Y}', C: !GetAtt Z.Arn, D: !If [p, 1, 2]}}}"
    )
    assert table_properties(template) == {
        "A": {"Ref": "X"},
        "B": {"Fn::Sub": "a${Y}"},
        "C": {"Fn::GetAtt": "Z.Arn"},
        "D": {"Fn::If": ["p", 1, 2]},
    }


# PynamoDB passes through the same hook


class Note(Model):
    class Meta:
        table_name = T
        region = "eu-central-1"

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    size = NumberAttribute(default=0)


@pytest.fixture
def notes(db: Any) -> type[Note]:
    Note._connection = None
    return Note


def test_every_kind_of_pynamodb_call_is_seen(harness: Harness, notes: type[Note]) -> None:
    first = len(harness.calls)
    notes("D#1|", "a").save()
    notes("D#1|", "b").save()
    notes.get("D#1|", "a").update(actions=[Note.size.set(3)])
    with notes.batch_write() as batch:
        batch.save(notes("D#1|", "c"))
        batch.delete(notes("D#1|", "b"))
    assert [note.sk for note in notes.batch_get([("D#1|", "a"), ("D#1|", "c")])]
    connection = Connection(region="eu-central-1")
    with TransactWrite(connection=connection) as writing:
        writing.save(notes("D#1|", "d"))
        writing.delete(notes("D#1|", "c"))
    with TransactGet(connection=connection) as reading:
        found = reading.get(notes, "D#1|", "d")
    assert found.get().sk == "d"
    assert [
        note.sk for note in notes.query("D#1|", Note.sk.startswith("a"), filter_condition=Note.size > 1)
    ] == ["a"]
    notes.get("D#1|", "a").delete()
    seen = [call.operation for call in harness.calls[first:]]
    assert set(seen) >= {
        "PutItem",
        "GetItem",
        "UpdateItem",
        "BatchWriteItem",
        "BatchGetItem",
        "TransactWriteItems",
        "TransactGetItems",
        "Query",
        "DeleteItem",
    }
    written = {(k.pk, k.sk) for call in harness.calls[first:] for k in call.keys if k.access == "write"}
    assert written == {("D#1|", sk) for sk in "abcd"}


def test_pynamodb_sees_refusals_and_faults_as_its_own_errors(harness: Harness, notes: type[Note]) -> None:
    with pytest.raises(PutError, match="400|exceeded"):
        notes("D#1|", "x" * 2000).save()
    harness.fail(kind=Fault.TIMEOUT_AFTER)
    with pytest.raises(PutError):
        notes("D#1|", "a").save()
    assert notes.get("D#1|", "a").sk == "a"
    harness.fail(kind=Fault.TRANSACTION_CONFLICT)
    with (
        pytest.raises(TransactWriteError) as error,
        TransactWrite(connection=Connection(region="eu-central-1")) as w,
    ):
        w.save(notes("D#1|", "b"))
        w.save(notes("D#1|", "c"))
    assert [reason and reason.code for reason in error.value.cancellation_reasons] == [
        "TransactionConflict",
        None,
    ]


# What DynamoDB refuses and moto accepts

VALUES = {"ExpressionAttributeValues": {":p": {"S": "D#1|"}}}


def transact(db: Any, actions: list[dict[str, Any]], **more: Any) -> Any:
    return db.transact_write_items(TransactItems=actions, **more)


def query(db: Any, condition: str = "pk = :p", values: dict[str, Any] | None = None, **more: Any) -> Any:
    return db.query(
        TableName=T,
        KeyConditionExpression=condition,
        ExpressionAttributeValues={":p": {"S": "D#1|"}, **(values or {})},
        **more,
    )


def update(db: Any, expression: str, values: dict[str, Any], **more: Any) -> Any:
    return db.update_item(
        TableName=T, Key=key(), UpdateExpression=expression, ExpressionAttributeValues=values, **more
    )


def batch(requests_: list[dict[str, Any]]) -> dict[str, Any]:
    return {T: requests_}


BIG = {"S": "x" * 300_000}
REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a transaction of 101": (
        lambda db: transact(db, [put_action(sk=str(n)) for n in range(101)]),
        "equal to 100",
    ),
    "a transaction over 4 MB": (
        lambda db: transact(db, [put_action(sk=str(n), data=BIG) for n in range(15)]),
        "4 MB",
    ),
    "two actions on one item": (
        lambda db: transact(db, [put_action(), {"Delete": {"TableName": T, "Key": key()}}]),
        "multiple operations on one item",
    ),
    "an empty transaction": (lambda db: transact(db, []), "greater than or equal to 1"),
    "a transactional read of 101": (
        lambda db: db.transact_get_items(
            TransactItems=[{"Get": {"TableName": T, "Key": key(sk=str(n))}} for n in range(101)]
        ),
        "equal to 100",
    ),
    "a batch of 26 writes": (
        lambda db: db.batch_write_item(
            RequestItems=batch([{"PutRequest": {"Item": item(sk=str(n))}} for n in range(26)])
        ),
        "equal to 25",
    ),
    "a batch of 101 reads": (
        lambda db: db.batch_get_item(RequestItems={T: {"Keys": [key(sk=str(n)) for n in range(101)]}}),
        "equal to 100",
    ),
    "a put and a delete of one item in a batch": (
        lambda db: db.batch_write_item(
            RequestItems=batch(
                [{"PutRequest": {"Item": item(n={"N": "1"})}}, {"DeleteRequest": {"Key": key()}}]
            )
        ),
        "duplicates",
    ),
    "two puts of one item in a batch": (
        lambda db: db.batch_write_item(
            RequestItems=batch([{"PutRequest": {"Item": item(n={"N": str(n)})}} for n in range(2)])
        ),
        "duplicates",
    ),
    "one key twice in a batch of reads": (
        lambda db: db.batch_get_item(RequestItems={T: {"Keys": [key(), key()]}}),
        "duplicates",
    ),
    "an item over 400 KB": (lambda db: put(db, data={"S": "x" * 409_600}), "maximum allowed size"),
    "an update to more than 400 KB": (
        lambda db: (
            put(db, data=BIG),
            update(db, "SET extra = :d", {":d": {"S": "x" * 120_000}}),
        ),
        "maximum allowed size",
    ),
    "an empty key": (lambda db: put(db, sk=""), "empty string value"),
    "an empty key to get": (lambda db: get(db, sk=""), "empty string value"),
    "an empty key in a transaction": (lambda db: transact(db, [put_action(sk="")]), "empty string value"),
    "an empty key in a batch": (
        lambda db: db.batch_write_item(RequestItems=batch([{"DeleteRequest": {"Key": key(sk="")}}])),
        "empty string value",
    ),
    "an empty value to query for": (
        lambda db: query(db, "pk = :p AND begins_with(sk, :s)", {":s": {"S": ""}}),
        "empty string value",
    ),
    "an empty index key": (lambda db: put(db, parent_pk={"S": ""}), "IndexName: by_parent"),
    "a NULL index key": (
        lambda db: put(db, parent_pk={"NULL": True}),
        "Expected: S Actual: NULL IndexName: by_parent",
    ),
    "a number as index key": (
        lambda db: transact(db, [put_action(due_sk={"N": "1"})]),
        "Expected: S Actual: N IndexName: by_due",
    ),
    "an update to a NULL index key": (
        lambda db: update(db, "SET parent_sk = :v", {":v": {"NULL": True}}),
        "ctual: NULL",
    ),
    "an update to an empty index key in a transaction": (
        lambda db: transact(
            db,
            [
                {
                    "Update": {
                        "TableName": T,
                        "Key": key(),
                        "UpdateExpression": "SET parent_sk = :v",
                        "ExpressionAttributeValues": {":v": {"S": ""}},
                    }
                }
            ],
        ),
        "empty string value",
    ),
    "a number as key": (
        lambda db: db.get_item(TableName=T, Key={"pk": {"N": "1"}, "sk": {"S": "a"}}),
        "match the schema",
    ),
    "half a key": (lambda db: db.delete_item(TableName=T, Key={"pk": {"S": "a"}}), "match the schema"),
    "more than a key": (lambda db: db.get_item(TableName=T, Key=item(x={"S": "1"})), "match the schema"),
    "a sort key over 1,024 bytes": (lambda db: put(db, sk="x" * 1025), "1024 bytes"),
    "an unused value in a query": (
        lambda db: query(db, values={":unused": {"S": "x"}}),
        "unused in expressions",
    ),
    "an unused value in an update": (
        lambda db: update(db, "SET a = :v", {":v": {"S": "x"}, ":w": {"S": "y"}}),
        "unused in expressions",
    ),
    "an unused value in a transaction": (
        lambda db: transact(
            db,
            [
                {
                    "Put": {
                        "TableName": T,
                        "Item": item(),
                        "ConditionExpression": "attribute_not_exists(pk)",
                        "ExpressionAttributeValues": {":v": {"S": "x"}},
                    }
                }
            ],
        ),
        "unused in expressions",
    ),
    "an unused name": (
        lambda db: query(db, ExpressionAttributeNames={"#n": "n"}),
        "unused in expressions: keys: {#n}",
    ),
    "values without an expression": (
        lambda db: db.put_item(TableName=T, Item=item(), **VALUES),
        "only be specified when using expressions",
    ),
    "an undefined value": (
        lambda db: update(db, "SET a = :v, b = :w", {":v": {"S": "x"}}),
        "not defined: :w",
    ),
    "a reserved word": (lambda db: query(db, FilterExpression="status = :p"), "reserved keyword: status"),
    "a filter on a key": (
        lambda db: query(
            db,
            FilterExpression="begins_with(#s, :s)",
            values={":s": {"S": "N"}},
            ExpressionAttributeNames={"#s": "sk"},
        ),
        "Primary key attribute: sk",
    ),
    "a filter on an index key": (
        lambda db: children(db, FilterExpression="attribute_exists(parent_sk)"),
        "Primary key attribute: parent_sk",
    ),
    "a query without its partition": (
        lambda db: db.query(
            TableName=T, KeyConditionExpression="sk = :p", ExpressionAttributeValues={":p": {"S": "x"}}
        ),
        "missed key schema element: pk",
    ),
    "a query with the wrong type": (
        lambda db: query(db, "pk = :p AND sk > :n", {":n": {"N": "1"}}),
        "does not match schema type",
    ),
    "a range upside down": (
        lambda db: query(db, "pk = :p AND sk BETWEEN :b AND :a", {":a": {"S": "a"}, ":b": {"S": "b"}}),
        "upper bound",
    ),
    "a start key of another partition": (
        lambda db: query(db, ExclusiveStartKey=key("D#2|")),
        "outside query boundaries",
    ),
    "a start key of another shape": (
        lambda db: query(db, ExclusiveStartKey={"pk": {"S": "D#1|"}}),
        "key is invalid",
    ),
    "a consistent read of an index": (lambda db: children(db, ConsistentRead=True), "Consistent reads"),
    "39 digits": (lambda db: put(db, n={"N": "1" * 39}), "38 significant digits"),
    "39 digits deep inside": (
        lambda db: put(db, deep={"L": [{"M": {"n": {"N": "1." + "1" * 38}}}]}),
        "38 significant digits",
    ),
    "39 digits in a condition": (
        lambda db: query(db, FilterExpression="n = :n", values={":n": {"N": "9" * 39}}),
        "38 significant digits",
    ),
    "a number too big": (lambda db: put(db, n={"N": "1E126"}), "overflow"),
    "an empty set": (lambda db: put(db, names={"SS": []}), "may not be empty"),
    "a set with a repeat": (lambda db: put(db, names={"SS": ["a", "a"]}), "duplicates"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_dynamodb_would_refuse(what: str, harness: Harness, db: Any) -> None:
    attempt_it, words = REFUSED[what]
    with pytest.raises(ClientError) as error:
        attempt_it(db)
    assert code_of(error) == "ValidationException"
    assert words in error.value.response["Error"]["Message"]
    # Nothing half-written: at most what the attempt had to put there first.
    stored = harness.items()[T]
    assert len(stored) <= 1 and not any("extra" in one or "names" in one for one in stored)


ACCEPTED_BY_MOTO = [
    "a batch of 26 writes",
    "a put and a delete of one item in a batch",
    "a number as index key",
    "an unused value in a query",
    "a filter on a key",
    "39 digits deep inside",
    "a transaction over 4 MB",
]


@pytest.mark.parametrize("what", ACCEPTED_BY_MOTO)
def test_moto_alone_would_accept(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one of these fails, moto has learned something."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        db = boto3.client("dynamodb")
        create_table(db, T)
        REFUSED[what][0](db)
        assert db.describe_table(TableName=T)["Table"]["TableStatus"] == "ACTIVE"


def test_what_is_just_within_the_limits_is_accepted(harness: Harness, db: Any) -> None:
    transact(db, [put_action(sk=f"{n:03d}") for n in range(100)])
    put(db, "D#2|", data={"S": "x" * (409_600 - len("pkskdata") - len("D#2|NODE"))})
    transact(db, [put_action("D#3|", str(n), data={"S": "x" * 400_000}) for n in range(10)])
    put(db, "D#4|", n={"N": "9" * 38 + "0" * 50}, m={"N": "-1E-130"}, z={"N": "0" * 60})
    db.batch_write_item(
        RequestItems=batch([{"PutRequest": {"Item": item("D#5|", str(n))}} for n in range(25)])
    )
    assert (
        len(query(db, "pk = :p AND sk BETWEEN :a AND :b", {":a": {"S": "000"}, ":b": {"S": "049"}})["Items"])
        == 50
    )
    # The table's own keys are no key attributes of an index.
    assert children(db, FilterExpression="attribute_exists(pk)") == []


def test_a_refused_transaction_leaves_nothing(harness: Harness, db: Any) -> None:
    put(db, sk="b")
    before = harness.items()
    with pytest.raises(ClientError) as error:
        transact(
            db,
            [
                put_action(sk="a"),
                {
                    "Update": {
                        "TableName": T,
                        "Key": key(sk="b"),
                        "UpdateExpression": "SET a = :v",
                        "ExpressionAttributeValues": {":v": {"S": "x"}},
                    }
                },
                {
                    "Put": {
                        "TableName": T,
                        "Item": item(sk="b2"),
                        "ConditionExpression": "attribute_exists(pk)",
                    }
                },
            ],
        )
    assert code_of(error) == "TransactionCanceledException"
    assert [reason["Code"] for reason in error.value.response["CancellationReasons"]] == [
        "None",
        "None",
        "ConditionalCheckFailed",
    ]
    assert harness.items() == before


def test_a_replayed_token_succeeds_without_running_again(harness: Harness, db: Any) -> None:
    def add(token: str, by: str = "1") -> None:
        action = {
            "Update": {
                "TableName": T,
                "Key": key(sk="COUNT"),
                "UpdateExpression": "ADD n :v",
                "ExpressionAttributeValues": {":v": {"N": by}},
            }
        }
        transact(db, [action], ClientRequestToken=token)

    add("one")
    add("one")
    assert count(db) == 1
    with pytest.raises(ClientError) as error:
        add("one", by="2")
    assert code_of(error) == "IdempotentParameterMismatchException"
    add("two")
    assert count(db) == 2
    harness.clock.advance(minutes=11)
    add("one")
    assert count(db) == 3


def test_a_cancelled_transaction_does_not_use_up_its_token(db: Any) -> None:
    action = {"Put": {"TableName": T, "Item": item(), "ConditionExpression": "attribute_exists(pk)"}}
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            transact(db, [action], ClientRequestToken="one")
        assert code_of(error) == "TransactionCanceledException"
    put(db)
    transact(db, [action], ClientRequestToken="one")


@pytest.mark.parametrize("operation", ["scan", "execute_statement"])
def test_scan_and_partiql_are_never_used(operation: str, harness: Harness, db: Any) -> None:
    arguments = {"TableName": T} if operation == "scan" else {"Statement": f"SELECT * FROM {T}"}
    with harness.expecting(OperationRefused) as caught, contextlib.suppress(AssertionError):
        getattr(db, operation)(**arguments)
    assert len(caught) == 1 and harness.violations == []


# The stream


def stream(db: Any) -> list[tuple[str, str]]:
    streams = boto3.client("dynamodbstreams")
    arn = streams.list_streams(TableName=T)["Streams"][0]["StreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    start = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    records = streams.get_records(ShardIterator=start)["Records"]
    return [(record["eventName"], record["dynamodb"]["Keys"]["sk"]["S"]) for record in records]


def test_the_stream_tells_each_real_change_once(harness: Harness, db: Any) -> None:
    update(db, "SET a = :v", {":v": {"S": "x"}})
    update(db, "SET a = :v", {":v": {"S": "x"}})
    put(db, a={"S": "x"})
    put(db, a={"S": "y"})
    with pytest.raises(ClientError):
        transact(db, [put_action(sk="b"), put_action(sk="b")])
    with pytest.raises(ClientError):
        transact(
            db,
            [
                put_action(sk="c"),
                {
                    "Put": {
                        "TableName": T,
                        "Item": item(sk="d"),
                        "ConditionExpression": "attribute_exists(pk)",
                    }
                },
            ],
        )
    db.delete_item(TableName=T, Key=key())
    db.delete_item(TableName=T, Key=key())
    assert stream(db) == [("INSERT", "NODE"), ("MODIFY", "NODE"), ("REMOVE", "NODE")]


# S1


def test_a_key_outside_the_callers_subtree_is_seen(harness: Harness, db: Any) -> None:
    put(db, "D#1|P#2|")
    put(db, "D#10|", "NODE", **child("x", of="D#1|P#2|"))
    outside: list[Callable[[], Any]] = [
        lambda: get(db, "D#10|"),
        lambda: get(db, "D#1|P#20|"),
        lambda: put(db, "D#1|"),
        lambda: transact(db, [put_action("D#1|P#2|"), put_action("D#1|")]),
        lambda: transact(db, [put_action("D#1|P#2|", parent_pk={"S": "D#9|"}, parent_sk={"S": "x"})]),
        lambda: db.delete_item(TableName=T, Key=key("EMAIL#a|")),
        lambda: db.batch_get_item(RequestItems={T: {"Keys": [key("D#1|P#2|"), key("D#1|P#3|")]}}),
        lambda: children(db, "D#1|"),
        # The partition is the caller's, but what stands in it is not.
        lambda: children(db, "D#1|P#2|"),
        lambda: query(db, "pk = :p AND sk = :s", {":s": {"S": "x"}}),
        lambda: db.query(
            TableName=T,
            IndexName="by_due",
            KeyConditionExpression="#0 = :0",
            ExpressionAttributeNames={"#0": "due_pk"},
            ExpressionAttributeValues={":0": {"S": "TRIAL|2023-01"}},
        ),
        lambda: db.update_item(
            TableName=T,
            Key=key("D#1|P#2|"),
            UpdateExpression="SET parent_pk = :v, parent_sk = :v",
            ExpressionAttributeValues={":v": {"S": "D#7|"}},
        ),
    ]
    before = harness.items()
    for touch in outside:
        with harness.expecting(OutsideSubtree), harness.within("D#1|P#2|"):
            touch()
    assert harness.items() == before


def test_within_the_subtree_nothing_is_in_the_way(harness: Harness, db: Any) -> None:
    with harness.within("D#1|P#2|", also=("EMAIL#", "ACCOUNT#")):
        put(
            db,
            "D#1|P#2|A#3|",
            "NODE",
            **child("A", of="D#1|P#2|"),
            due_pk={"S": "TRIAL|2023-01"},
            due_sk={"S": "x"},
        )
        put(db, "D#1|P#2|A#4|", "NODE", distributor_pk={"S": "D#1|"}, distributor_sk={"S": "A"})
        put(db, "EMAIL#a|")
        assert children(db, "D#1|P#2|") == ["NODE"]
    get(db, "D#7|")
    assert {call.scope for call in harness.calls if call.operation == "PutItem"} == {"D#1|P#2|"}


def test_a_swallowed_violation_still_fails_the_test(harness: Harness, db: Any) -> None:
    with harness.within("D#1|"), contextlib.suppress(Exception):
        get(db, "D#2|")
    with pytest.raises(OutsideSubtree, match="outside 'D#1|'"):
        harness.verify()
    harness.violations.clear()


def test_the_subtree_holds_in_racing_threads(harness: Harness, db: Any) -> None:
    with harness.within("D#1|"):
        outcomes = harness.run_at_once(2, lambda: get(db, "D#2|"))
    assert all(isinstance(outcome.error, OutsideSubtree) for outcome in outcomes)
    assert len(harness.violations) == 2
    harness.violations.clear()


# Capacity


def units(harness: Harness, action: Callable[[], Any]) -> tuple[float, int, dict[str, int]]:
    """Read units, the table's write units, write units by index."""
    before = harness.counts.snapshot()
    action()
    used = harness.counts.since(before)
    return used.total_read_units, used.write_units.total(), dict(used.index_write_units)


def test_writes_cost_a_unit_a_kilobyte_of_the_larger_image(harness: Harness, db: Any) -> None:
    large = {"S": "x" * 2500}
    assert units(harness, lambda: put(db, data=large)) == (0, 3, {})
    assert units(harness, lambda: put(db)) == (0, 3, {})
    assert units(harness, lambda: put(db)) == (0, 1, {})
    assert units(harness, lambda: db.delete_item(TableName=T, Key=key(sk="none"))) == (0, 1, {})
    assert units(harness, lambda: transact(db, [put_action(data=large), put_action(sk="b")])) == (0, 8, {})
    check = {"ConditionCheck": {"TableName": T, "Key": key(), "ConditionExpression": "attribute_exists(pk)"}}
    assert units(harness, lambda: transact(db, [check])) == (0, 6, {})
    failing = {"ConditionExpression": "attribute_not_exists(pk)"}

    def failed() -> None:
        with pytest.raises(ClientError):
            db.put_item(TableName=T, Item=item(), **failing)

    assert units(harness, failed) == (0, 3, {})


def test_indexes_cost_what_changes_in_them_and_transactions_do_not_double_that(
    harness: Harness, db: Any
) -> None:
    here, there = child("A"), child("A", of="D#2|")
    assert units(harness, lambda: put(db, **here)) == (0, 1, {"by_parent": 1})
    assert units(harness, lambda: put(db, **here)) == (0, 1, {})
    assert units(harness, lambda: put(db, **here, n={"N": "1"})) == (0, 1, {"by_parent": 1})
    assert units(harness, lambda: put(db, **there, n={"N": "1"})) == (0, 1, {"by_parent": 2})
    assert units(harness, lambda: transact(db, [put_action(**there)])) == (0, 2, {"by_parent": 1})
    assert units(harness, lambda: update(db, "SET a = :v", {":v": {"S": "x" * 1500}})) == (
        0,
        2,
        {"by_parent": 2},
    )
    assert units(harness, lambda: db.delete_item(TableName=T, Key=key())) == (0, 2, {"by_parent": 2})


def test_reads_cost_by_four_kilobytes_and_consistency(harness: Harness, db: Any) -> None:
    for n in range(5):
        put(db, sk=str(n), data={"S": "x" * 3000}, **child(str(n)))
    assert units(harness, lambda: get(db, sk="0"))[0] == 0.5
    assert units(harness, lambda: get(db, sk="0", ConsistentRead=True))[0] == 1
    assert units(harness, lambda: get(db, sk="none"))[0] == 0.5
    # 15 KB read as one, whatever the filter leaves.
    assert units(harness, lambda: query(db))[0] == 2
    assert units(harness, lambda: query(db, FilterExpression="attribute_exists(zzz)"))[0] == 2
    assert units(harness, lambda: query(db, ProjectionExpression="sk", ConsistentRead=True))[0] == 4
    assert units(harness, lambda: query(db, Limit=1))[0] == 0.5
    assert units(harness, lambda: children(db))[0] == 2
    reads = [{"Get": {"TableName": T, "Key": key(sk=str(n))}} for n in range(2)]
    assert units(harness, lambda: db.transact_get_items(TransactItems=reads))[0] == 4
    assert (
        units(harness, lambda: db.batch_get_item(RequestItems={T: {"Keys": [key(sk="0"), key(sk="1")]}}))[0]
        == 1
    )


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "zürich"}, 7),
        ({"N": "0"}, 1),
        ({"N": "100"}, 2),
        ({"N": "-12345"}, 5),
        ({"N": "3.14"}, 3),
        ({"B": b"12345"}, 5),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + 2 + 2 + 2),
        ({"M": {"ab": {"S": "c"}}}, 3 + 1 + 3),
        ({"SS": ["ab", "c"]}, 3),
    ],
)
def test_the_size_of_a_value(value: dict[str, Any], size: int) -> None:
    assert capacity.value_size(value) == size


# Faults


def test_a_crash_before_has_no_effect_and_one_after_has(harness: Harness, db: Any) -> None:
    for kind, there in ((Fault.CRASH_BEFORE, False), (Fault.CRASH_AFTER, True)):
        harness.fail(kind=kind)
        with pytest.raises(Crash):
            put(db, sk=kind.name)
        assert (get(db, sk=kind.name) is not None) is there


def test_a_dead_process_makes_no_calls_on_its_way_out(harness: Harness, db: Any) -> None:
    def tidy() -> None:
        try:
            put(db, sk="a")
        except Exception:
            put(db, sk="handled")
        finally:
            put(db, sk="tidied")

    harness.fail(kind=Fault.CRASH_AFTER)
    with pytest.raises(Crash):
        tidy()
    assert [one["sk"]["S"] for one in harness.items()[T]] == ["a"]


def test_a_time_out_hides_an_effect_that_happened(harness: Harness, db: Any) -> None:
    harness.fail(at=2, kind=Fault.TIMEOUT_AFTER)
    put(db, sk="a")
    with pytest.raises(ReadTimeoutError):
        put(db, sk="b")
    put(db, sk="c")
    assert [one["sk"]["S"] for one in harness.items()[T]] == ["a", "b", "c"]


def test_a_time_out_hides_a_refused_condition_too(harness: Harness, db: Any) -> None:
    put(db)
    harness.fail(kind=Fault.TIMEOUT_AFTER)
    with pytest.raises(ReadTimeoutError):
        db.put_item(TableName=T, Item=item(), ConditionExpression="attribute_not_exists(pk)")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Fault.TRANSACTION_CONFLICT, "TransactionConflictException"),
        (Fault.THROUGHPUT, "ProvisionedThroughputExceededException"),
        (Fault.THROTTLING, "ThrottlingException"),
    ],
)
def test_a_refusal_by_load_has_no_effect(kind: Fault, code: str, harness: Harness, db: Any) -> None:
    harness.fail(kind=kind)
    with pytest.raises(ClientError) as error:
        put(db)
    assert code_of(error) == code
    assert harness.items()[T] == []


def test_a_transaction_conflict_names_its_reasons(harness: Harness, db: Any) -> None:
    harness.fail(kind=Fault.TRANSACTION_CONFLICT)
    with pytest.raises(db.exceptions.TransactionCanceledException) as error:
        transact(db, [put_action(sk="a"), put_action(sk="b")])
    assert [reason["Code"] for reason in error.value.response["CancellationReasons"]] == [
        "TransactionConflict",
        "None",
    ]


def test_a_batch_is_half_done_once(harness: Harness, db: Any) -> None:
    entries = [{"PutRequest": {"Item": item(sk=str(n))}} for n in range(5)]
    harness.fail(kind=Fault.UNPROCESSED)
    left = db.batch_write_item(RequestItems=batch(entries))["UnprocessedItems"]
    assert [entry["PutRequest"]["Item"]["sk"]["S"] for entry in left[T]] == ["2", "3", "4"]
    assert len(harness.items()[T]) == 2
    assert db.batch_write_item(RequestItems=left)["UnprocessedItems"] == {}
    assert len(harness.items()[T]) == 5
    harness.fail(kind=Fault.UNPROCESSED)
    answer = db.batch_get_item(RequestItems={T: {"Keys": [key(sk=str(n)) for n in range(3)]}})
    assert len(answer["Responses"][T]) == 1
    assert [one["sk"]["S"] for one in answer["UnprocessedKeys"][T]["Keys"]] == ["1", "2"]


def test_a_batch_of_one_is_handed_back_whole(harness: Harness, db: Any) -> None:
    harness.fail(kind=Fault.UNPROCESSED)
    entries = [{"PutRequest": {"Item": item()}}]
    assert db.batch_write_item(RequestItems=batch(entries))["UnprocessedItems"] == {T: entries}
    assert harness.items()[T] == []


def test_a_stale_index_does_not_see_the_last_writes(harness: Harness, db: Any) -> None:
    put(db, sk="old", **child("1"))
    put(db, sk="moved", **child("2"))
    put(db, sk="gone", **child("3"))
    for _ in range(5):
        get(db)
    put(db, sk="new", **child("4"))
    put(db, sk="moved", **child("2", of="D#2|"))
    db.delete_item(TableName=T, Key=key(sk="gone"))
    truth = harness.items()
    harness.fail(kind=Fault.STALE_READ, window=4)
    assert children(db) == ["old", "moved", "gone"]
    assert children(db) == ["old", "new"]
    assert harness.items() == truth


def test_a_stale_read_hides_updates_made_in_place(harness: Harness, db: Any) -> None:
    put(db, n={"N": "1"})
    update(db, "SET n = :v", {":v": {"N": "2"}})
    harness.fail(kind=Fault.STALE_READ, window=1)
    stale = get(db)
    assert stale is not None and stale["n"] == {"N": "1"}
    assert get(db)["n"] == {"N": "2"}
    harness.fail(kind=Fault.STALE_READ)
    with pytest.raises(FaultMisused, match="cannot happen"):
        get(db, ConsistentRead=True)
    harness.clear_faults()


def test_faults_count_only_the_calls_they_match(harness: Harness, db: Any) -> None:
    harness.fail(at=2, kind=Fault.THROTTLING, match=lambda call: "b" in [k.sk for k in call.keys], times=2)
    ended = []
    for sk in "abababab":
        try:
            put(db, sk=sk)
            ended.append("ok")
        except ClientError:
            ended.append("no")
    assert ended == ["ok", "ok", "ok", "no", "ok", "no", "ok", "ok"]


def test_a_fault_that_never_happens_fails_the_test(harness: Harness, db: Any) -> None:
    harness.fail(at=3)
    put(db)
    with pytest.raises(FaultMisused, match="CRASH_AFTER at 3"):
        harness.verify()
    harness.clear_faults()


def test_faults_strike_queues_and_buckets_too(harness: Harness) -> None:
    sqs, s3 = boto3.client("sqs"), boto3.client("s3")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    s3.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    harness.fail(kind=Fault.TIMEOUT_AFTER)
    with pytest.raises(ReadTimeoutError):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    assert len(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]) == 1
    harness.fail(kind=Fault.CRASH_BEFORE)
    with pytest.raises(Crash):
        s3.put_object(Bucket="files", Key="k", Body=b"1")
    assert s3.list_objects_v2(Bucket="files")["KeyCount"] == 0
    harness.fail(kind=Fault.UNPROCESSED)
    answer = sqs.send_message_batch(
        QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(3)]
    )
    assert ([e["Id"] for e in answer["Successful"]], [e["Id"] for e in answer["Failed"]]) == (
        ["0"],
        ["1", "2"],
    )


# Sweeps


def test_a_sweep_strikes_every_call_from_the_same_state(harness: Harness, db: Any) -> None:
    put(db, sk="COUNT", n={"N": "5"})
    before = harness.items()
    seen = []
    for run in harness.sweep(lambda: add_one(db)):
        seen.append((run.number, run.call.operation, run.kind, count(db)))
    assert seen == [
        (1, "GetItem", Fault.CRASH_BEFORE, 5),
        (1, "GetItem", Fault.CRASH_AFTER, 5),
        (1, "GetItem", Fault.TIMEOUT_AFTER, 5),
        (2, "PutItem", Fault.CRASH_BEFORE, 5),
        (2, "PutItem", Fault.CRASH_AFTER, 6),
        (2, "PutItem", Fault.TIMEOUT_AFTER, 6),
    ]
    assert harness.items() == before


def test_a_sweep_finds_the_retry_that_counts_twice(harness: Harness, db: Any) -> None:
    wrong = []
    for run in harness.sweep(lambda: add_one(db)):
        add_one(db)
        if count(db) != 1:
            wrong.append(run.kind)
    assert wrong == [Fault.CRASH_AFTER, Fault.TIMEOUT_AFTER]


def test_sweeps_nest_for_double_faults(harness: Harness, db: Any) -> None:
    crashes = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
    results = set()
    for first in harness.sweep(lambda: add_one(db), crashes):
        for second in harness.sweep(lambda: add_one(db), crashes):
            add_one(db)
            results.add((str(first.kind), first.number, str(second.kind), second.number, count(db)))
    assert len(results) == 16
    assert max(result[-1] for result in results) == 3


def test_a_sweep_rewinds_queues_buckets_clock_ids_and_fakes(harness: Harness, db: Any) -> None:
    sqs, s3 = boto3.client("sqs"), boto3.client("s3")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    s3.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="files", Key="k", Body=b"before")
    sqs.send_message(QueueUrl=url, MessageBody="before")

    class Counter:
        asked = 0

        def __call__(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
            self.asked += 1
            return 200, {}, b"ok"

        def snapshot(self) -> int:
            return self.asked

        def restore(self, state: int) -> None:
            self.asked = state

    fake = Counter()
    harness.serve("api.example.com", fake)
    drawn = []

    def action() -> None:
        drawn.append(harness.ids(4))
        harness.clock.advance(days=1)
        s3.put_object(Bucket="files", Key="k", Body=b"after")
        s3.delete_object(Bucket="files", Key="k")
        s3.put_object(Bucket="files", Key="new", Body=b"after")
        message = sqs.receive_message(QueueUrl=url)["Messages"][0]
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        requests.post("https://api.example.com/x", timeout=1)
        sqs.send_message(QueueUrl=url, MessageBody="after")

    runs = sum(1 for _ in harness.sweep(action))
    assert runs == 7 * 3
    assert len(set(drawn)) == 1
    assert harness.clock() == datetime(2023, 1, 1, tzinfo=UTC)
    assert fake.asked == 0
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="files")["Contents"]] == ["k"]
    assert s3.get_object(Bucket="files", Key="k")["Body"].read() == b"before"
    assert [m["Body"] for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]] == [
        "before"
    ]


def test_a_crash_that_is_survived_fails_the_sweep(harness: Harness, db: Any) -> None:
    def stubborn() -> None:
        with contextlib.suppress(BaseException):
            put(db)

    with pytest.raises(AssertionError, match="a crash was survived"):
        for _ in harness.sweep(stubborn):
            pass
    harness.clear_faults()


def test_an_action_that_wavers_fails_the_sweep(harness: Harness, db: Any) -> None:
    names = iter("abcdefgh")
    with pytest.raises(FaultMisused, match="not the same calls"):
        for _ in harness.sweep(lambda: put(db, sk=next(names)), (Fault.TIMEOUT_AFTER,)):
            pass
    harness.clear_faults()


def test_a_sweep_over_nothing_fails(harness: Harness, db: Any) -> None:
    with pytest.raises(FaultMisused, match="nothing to strike among 0 calls"):
        next(harness.sweep(lambda: None))
    with pytest.raises(FaultMisused, match="nothing to strike among 1 calls"):
        next(harness.sweep(lambda: put(db), (Fault.STALE_READ,)))


def test_snapshots_survive_tables_made_and_dropped(harness: Harness, db: Any) -> None:
    put(db, a={"S": "x"})
    state = harness.snapshot()
    before = harness.items()
    db.delete_table(TableName=T)
    create_table(db, "other")
    boto3.client("sqs").create_queue(QueueName="later")
    for _ in range(2):
        harness.restore(state)
        assert harness.items() == before
        assert "QueueUrls" not in boto3.client("sqs").list_queues()
        update(db, "SET a = :v", {":v": {"S": "y"}})


def test_a_snapshot_of_many_items_takes_milliseconds(harness: Harness, db: Any) -> None:
    for n in range(20):
        transact(db, [put_action(f"D#{n}|", f"{m}") for m in range(100)])
    started = time.perf_counter()
    for _ in range(10):
        harness.restore(harness.snapshot())
    assert (time.perf_counter() - started) / 10 < 0.2


# Races


def test_read_then_write_loses_updates_and_the_seed_repeats_it(harness: Harness, db: Any) -> None:
    def lost(seed: int) -> int:
        state = harness.snapshot()
        harness.run_at_once(4, lambda: add_one(db), seed=seed)
        total = count(db)
        harness.restore(state)
        return total

    results = [lost(seed) for seed in range(10)]
    assert min(results) < 4
    assert len(set(results)) > 1
    assert [lost(seed) for seed in range(10)] == results


def test_a_condition_lets_exactly_one_win(harness: Harness, db: Any) -> None:
    def claim() -> None:
        get(db)
        db.put_item(TableName=T, Item=item(), ConditionExpression="attribute_not_exists(pk)")

    for seed, outcomes in harness.rounds(32, claim, seeds=range(3)):
        assert sum(outcome.ok for outcome in outcomes) == 1, seed
    assert sum(outcome.ok for outcome in harness.run_at_once(16, claim, seed=None)) == 1


def test_transactions_are_atomic_in_free_threads(harness: Harness, db: Any) -> None:
    def claim() -> None:
        free = "attribute_not_exists(pk)"
        transact(
            db,
            [
                {"Put": {"TableName": T, "Item": item(sk=sk), "ConditionExpression": free}}
                for sk in ("a", "b", "c")
            ],
        )

    for _ in range(5):
        state = harness.snapshot()
        assert sum(outcome.ok for outcome in harness.run_at_once(16, claim, seed=None)) == 1
        assert len(harness.items()[T]) == 3
        harness.restore(state)


def test_results_and_errors_come_back_in_order(harness: Harness, db: Any) -> None:
    def fail() -> None:
        get(db)
        raise KeyError("mine")

    first, second = harness.run_together([lambda: 7, fail])
    assert first == Outcome(result=7) and first.get() == 7
    with pytest.raises(KeyError, match="mine"):
        second.get()


def test_sleepers_pass_their_turn_and_nobody_sleeps(harness: Harness, db: Any) -> None:
    def wait_for_it() -> None:
        while get(db) is None:
            time.sleep(3600)

    assert all(outcome.ok for outcome in harness.run_together([wait_for_it, lambda: put(db)]))
    assert set(harness.naps) <= {3600}


def test_a_race_that_cannot_go_on_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "PATIENCE", 0.05)
    lock = threading.Lock()

    def holds_a_lock_across_its_turn() -> None:
        with lock:
            scheduler.turn()

    for seed in range(20):
        scheduler = Scheduler([holds_a_lock_across_its_turn] * 2, seed)
        try:
            scheduler.run()
        except SchedulerStuck:
            break
    else:
        pytest.fail("no seed got stuck")


# HTTP


def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
    return 200, {"X-Path": request.path_url}, b"hello"


def test_registered_fakes_answer_and_all_else_is_refused(harness: Harness) -> None:
    harness.serve("api.example.com", answer)
    got = requests.get("https://api.example.com/a?b=1", timeout=1)
    assert (got.status_code, got.text, got.headers["X-Path"]) == (200, "hello", "/a?b=1")
    with harness.expecting(NetworkRefused):
        requests.get("https://other.example.com/", timeout=1)
    with harness.expecting(NetworkRefused), socket.socket() as sock:
        sock.connect(("127.0.0.1", 9))
    with harness.expecting(NetworkRefused):
        socket.getaddrinfo("other.example.com", 443)
    assert [call.name for call in harness.calls] == ["http.GET", "http.GET"]


def test_names_resolve_as_told(harness: Harness) -> None:
    harness.net.names |= {"hooks.example.com": ["192.0.2.1", "2001:db8::1"], "gone.example.com": []}
    found = socket.getaddrinfo("hooks.example.com", 443)
    assert [entry[4][0] for entry in found] == ["192.0.2.1", "2001:db8::1"]
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("gone.example.com", 443)


def test_redirects_and_production_adapters_are_really_run(harness: Harness) -> None:
    harness.serve("a.example.com", lambda request: (302, {"Location": "https://b.example.com/"}, b""))
    harness.serve("b.example.com", answer)
    assert requests.get("https://a.example.com/", timeout=1).text == "hello"
    assert requests.get("https://a.example.com/", timeout=1, allow_redirects=False).status_code == 302

    class Dialling(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
            request.headers["Host"] = "b.example.com"
            request.url = "https://192.0.2.1/"
            return super().send(request, *args, **options)

    session = requests.Session()
    session.mount("https://", Dialling())
    assert session.get("https://b.example.com/").text == "hello"


def test_http_calls_count_and_fail_like_any_other(harness: Harness) -> None:
    asked = []

    def fake(request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        asked.append(request.method)
        return 200, {}, b""

    harness.serve("api.example.com", fake)

    def post() -> int:
        return requests.post("https://api.example.com/charge", timeout=1).status_code

    kinds = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.TIMEOUT_AFTER, Fault.THROTTLING)
    reached = {}
    for run in harness.sweep(post, kinds):
        reached[run.kind] = (len(asked), run.outcome.result, type(run.outcome.error))
    assert reached == {
        Fault.CRASH_BEFORE: (1, None, Crash),
        Fault.CRASH_AFTER: (2, None, Crash),
        Fault.TIMEOUT_AFTER: (3, None, requests.exceptions.ReadTimeout),
        Fault.THROTTLING: (3, 429, type(None)),
    }


def test_presigned_addresses_reach_the_bucket(harness: Harness) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="files", Key="k", Body=b"content")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "files", "Key": "k"})
    assert requests.get(url, timeout=1).content == b"content"


# Time and chance


def test_the_clock_stands_still_until_told() -> None:
    clock = FakeClock("2023-01-10T12:00:00")
    assert clock() == clock() == datetime(2023, 1, 10, 12, tzinfo=UTC)
    assert clock.advance(hours=25) == datetime(2023, 1, 11, 13, tzinfo=UTC)
    assert clock.set("2022-12-31T23:00:00-02:00") == datetime(2023, 1, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="naive"):
        clock.set(datetime(2023, 1, 1))


def test_messages_come_back_when_the_injected_clock_says_so(harness: Harness) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    harness.clock.advance(seconds=61)
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1


def test_seeded_bytes_repeat() -> None:
    first, second, other = SeededBytes(1), SeededBytes(1), SeededBytes(2)
    assert first(16) == second(16) != other(16)
    state = first.snapshot()
    drawn = first(8)
    first.restore(state)
    assert first(8) == drawn


# The plugin, and the harness put away

PLUGIN_TEST = """
import pytest
from portal import clock, ids

@pytest.mark.money
def test_without(): ...

@pytest.mark.races
def test_with(harness):
    assert clock.now() == harness.clock()
    harness.clock.advance(days=1)
    assert clock.now() == harness.clock()
    assert ids.secret() == SECRET

def test_swallowing(harness):
    import socket
    try:
        socket.getaddrinfo("x.example.com", 1)
    except AssertionError:
        pass
"""


def test_the_plugin_demands_the_harness_and_reports_what_was_swallowed(tmp_path: Path) -> None:
    import base64

    secret = base64.urlsafe_b64encode(SeededBytes(7)(32)).decode().rstrip("=")
    (tmp_path / "test_it.py").write_text(f"SECRET = {secret!r}\n{PLUGIN_TEST}")
    done = subprocess.run(
        check=False,
        args=[
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.support.fixtures",
            "-c",
            "/dev/null",
            "-q",
            str(tmp_path),
        ],
        cwd=ROOT,
        env={
            "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/portal'}",
            "HARNESS_SEED": "7",
            "TABLE_NAME": "portal",
            "PATH": "",
        },
        capture_output=True,
        text=True,
    )
    assert "marked 'money', but does not use the harness" in done.stdout
    assert "ERROR" in done.stdout and "NetworkRefused: nobody told the harness" in done.stdout
    assert "2 passed, 2 errors" in done.stdout


def test_the_harness_is_on_once_and_leaves_nothing_behind(harness: Harness) -> None:
    with pytest.raises(RuntimeError, match="on already"), Harness():
        pytest.fail("a second harness went on")
    assert harness.counts.total_calls == 0


def test_everything_is_put_back() -> None:
    def patched() -> list[Any]:
        from botocore.client import BaseClient
        from moto.core.serialize import BaseJSONSerializer
        from moto.dynamodb.models.dynamo_type import Item, LimitedSizeDict
        from moto.dynamodb.models.table import Table
        from moto.s3.models import FakeKey

        return [
            getattr(BaseClient, "_make_api_call"),  # noqa: B009
            HTTPAdapter.send,
            socket.getaddrinfo,
            socket.socket.connect,
            time.sleep,
            Table.query,
            Item.__new__,
            LimitedSizeDict.__setitem__,
            FakeKey.dispose,
            BaseJSONSerializer._serialize_type_structure,
        ]

    before = patched()
    with Harness():
        assert all(now is not then for now, then in zip(patched(), before, strict=True))
    assert patched() == before


def test_the_hook_costs_little(harness: Harness, db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own work, without moto's: about 0.2 ms for a put of 24 attributes; asserted with room to spare."""
    monkeypatch.setattr(harness._dynamo, "_perform", lambda client, operation, parameters: {})
    monkeypatch.setattr(harness._dynamo, "_measuring", False)
    full = item() | {f"attribute_{n}": {"S": "value " * 5} for n in range(20)} | child("x")
    best = 1.0
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(100):
            db.put_item(TableName=T, Item=full)
        best = min(best, (time.perf_counter() - started) / 100)
    assert best < 0.001


@pytest.mark.parametrize(
    ("number", "fine"), [("1" * 38, True), ("0." + "0" * 50 + "1", True), ("1e-131", False), ("x", False)]
)
def test_numbers_as_dynamodb_takes_them(number: str, fine: bool) -> None:
    assert (refusals.number_objection(number) is None) is fine


def test_calls_say_what_they_did(harness: Harness, db: Any) -> None:
    transact(db, [put_action(sk="a", **child("1")), {"Delete": {"TableName": T, "Key": key(sk="b")}}])
    children(db)
    write, read = harness.calls[-2:]
    assert str(write).endswith("dynamodb.TransactWriteItems: put D#1| a, delete D#1| b")
    assert (write.writes, read.writes) == (True, False)
    assert read.summary == "query D#1| in by_parent"
    assert isinstance(write, Call) and [k.index for k in write.keys] == ["", "by_parent", ""]
