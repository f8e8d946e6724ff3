"""The judge itself: what IAM would say of a policy and a call, and that the harness heeds it."""

from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support import Harness, NotAuthorised, create_table, iam
from tests.support.iam import LEADING_KEYS, NotJudged, Request, Role, Statement

TABLE = "arn:aws:dynamodb:eu-central-1:123456789012:table/portal"


def role(*statements: dict[str, Any]) -> Role:
    given = ({"Effect": "Allow", "Resource": TABLE, **each} for each in statements)
    return Role("Role", tuple(Statement.parse(each) for each in given))


def keyed(action: str, *keys: str, resource: str = TABLE) -> Request:
    return Request(f"dynamodb:{action}", resource, {LEADING_KEYS: keys})


def under(*patterns: str, operator: str = "ForAllValues:StringLike") -> dict[str, Any]:
    return {"Condition": {operator: {LEADING_KEYS: list(patterns)}}}


def test_nothing_is_allowed_that_no_statement_names() -> None:
    reader = role({"Action": "dynamodb:GetItem"})
    assert reader.allows(keyed("GetItem", "D#1|"))
    assert not reader.allows(keyed("PutItem", "D#1|"))
    assert not reader.allows(keyed("GetItem", "D#1|", resource=f"{TABLE}/index/by_due"))
    assert not reader.allows(keyed("GetItem", "D#1|", resource=f"{TABLE}-2"))
    assert not role().allows(keyed("GetItem", "D#1|"))


def test_what_is_denied_no_other_statement_allows() -> None:
    denied = role(
        {"Action": ["dynamodb:GetItem", "dynamodb:PutItem"]},
        {"Effect": "Deny", "Action": "dynamodb:PutItem", **under("TOKEN#*")},
    )
    assert denied.allows(keyed("PutItem", "D#1|"))
    assert denied.allows(keyed("GetItem", "TOKEN#1|"))
    assert not denied.allows(keyed("PutItem", "TOKEN#1|"))


def test_every_leading_key_has_to_fit_into_one_and_the_same_statement() -> None:
    one = role({"Action": "dynamodb:BatchGetItem", **under("D#*", "EMAIL#*")})
    assert one.allows(keyed("BatchGetItem", "D#1|", "D#1|P#2|", "EMAIL#a@example.com|"))
    assert not one.allows(keyed("BatchGetItem", "D#1|", "TOKEN#1|"))
    two = role(
        {"Action": "dynamodb:BatchGetItem", **under("D#*")},
        {"Action": "dynamodb:BatchGetItem", **under("EMAIL#*")},
    )
    assert two.allows(keyed("BatchGetItem", "D#1|"))
    assert not two.allows(keyed("BatchGetItem", "D#1|", "EMAIL#a@example.com|"))


def test_of_no_keys_at_all_a_condition_for_all_of_them_is_true() -> None:
    """So whoever may scan under such a condition may scan everything: no role has actions that tell no keys."""
    assert role({"Action": "dynamodb:Scan", **under("D#*")}).allows(Request("dynamodb:Scan", TABLE))


def test_patterns_mean_what_they_mean_to_iam() -> None:
    like = role({"Action": "dynamodb:GetItem", **under("D#*|A#?|", "V|")})
    assert like.allows(keyed("GetItem", "D#1|P#2|A#3|"))
    assert not like.allows(keyed("GetItem", "D#1|P#2|A#33|"))
    assert not like.allows(keyed("GetItem", "V|x"))
    assert not like.allows(keyed("GetItem", "xV|"))
    assert not like.allows(keyed("GetItem", "v|"))
    equal = role({"Action": "dynamodb:GetItem", **under("D#*", operator="ForAllValues:StringEquals")})
    assert equal.allows(keyed("GetItem", "D#*"))
    assert not equal.allows(keyed("GetItem", "D#1|"))


def test_a_condition_on_one_value_is_false_where_there_is_none() -> None:
    context = "kms:EncryptionContext:tenant"
    sealing = role({"Action": "kms:Decrypt", "Condition": {"StringLike": {context: "?*"}}})
    assert sealing.allows(Request("kms:Decrypt", TABLE, {context: ["dst_1"]}))
    assert not sealing.allows(Request("kms:Decrypt", TABLE))
    assert not sealing.allows(Request("kms:Decrypt", TABLE, {context: [""]}))
    present = role({"Action": "kms:Decrypt", "Condition": {"Null": {context: "false"}}})
    assert present.allows(Request("kms:Decrypt", TABLE, {context: ["dst_1"]}))
    assert not present.allows(Request("kms:Decrypt", TABLE))


def test_several_conditions_have_to_hold_together() -> None:
    both = role(
        {
            "Action": "kms:Decrypt",
            "Condition": {"StringEquals": {"kms:EncryptionContext:purpose": "totp"}, "Null": {"x": "true"}},
        }
    )
    assert both.allows(Request("kms:Decrypt", TABLE, {"kms:EncryptionContext:purpose": ["totp"]}))
    assert not both.allows(
        Request("kms:Decrypt", TABLE, {"kms:EncryptionContext:purpose": ["totp"], "x": ["y"]})
    )
    assert not both.allows(Request("kms:Decrypt", TABLE, {"kms:EncryptionContext:purpose": ["splunk"]}))


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "dynamodb:GetItem", "Condition": {"StringNotLike": {LEADING_KEYS: "D#*"}}},
        {"Action": "dynamodb:GetItem", "Condition": {"ForAnyValue:StringLike": {LEADING_KEYS: "D#*"}}},
        {"Action": "dynamodb:GetItem", "NotResource": "x"},
    ],
)
def test_what_it_does_not_understand_it_does_not_guess(statement: dict[str, Any]) -> None:
    with pytest.raises(NotJudged):
        role(statement)


def test_names_are_those_of_the_tests() -> None:
    assert iam.resolved({"Fn::GetAtt": "Table.Arn"}) == TABLE
    assert iam.resolved({"Fn::Sub": "${Table.Arn}/index/by_due"}) == f"{TABLE}/index/by_due"
    assert iam.resolved({"Fn::Sub": "${Bucket.Arn}/bills/*"}) == "arn:aws:s3:::portal-files/bills/*"
    assert iam.resolved({"Fn::GetAtt": ["Mail", "Arn"]}) == "arn:aws:sqs:eu-central-1:123456789012:mail"
    assert iam.resolved({"Ref": "CursorSecret"}) == "cursor-secret"


# In the harness

ITEM = {"pk": {"S": "D#1|"}, "sk": {"S": "NODE"}}


@pytest.fixture
def client(harness: Harness) -> Any:
    import boto3

    client = boto3.client("dynamodb")
    create_table(client)
    return client


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> str:
    """A function that may read what is the distributors', and nothing else."""
    own = role({"Action": ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"], **under("D#*")})
    monkeypatch.setattr(iam, "role_of", lambda function: own)
    return "a.reader"


def test_a_function_does_what_its_role_allows(harness: Harness, client: Any, reader: str) -> None:
    client.put_item(TableName="portal", Item=ITEM)
    with iam.acting_as(reader):
        assert client.get_item(TableName="portal", Key=ITEM)["Item"] == ITEM
        client.batch_get_item(RequestItems={"portal": {"Keys": [ITEM]}})
        client.query(
            TableName="portal",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "D#1|"}},
        )
    client.put_item(TableName="portal", Item={"pk": {"S": "TOKEN#1|"}, "sk": {"S": "TOKEN"}})


def test_a_function_that_asks_for_more_fails_the_test(harness: Harness, client: Any, reader: str) -> None:
    with harness.expecting(NotAuthorised) as caught, iam.acting_as(reader):
        client.put_item(TableName="portal", Item=ITEM)
    assert "a.reader may not ask for dynamodb:PutItem" in str(caught[0])
    assert "D#1|" in str(caught[0])
    assert not client.get_item(TableName="portal", Key=ITEM).get("Item"), "it was refused before its effect"


def test_even_where_the_function_swallows_it(client: Any, harness: Harness, reader: str) -> None:
    with iam.acting_as(reader), suppress(AssertionError):
        client.get_item(TableName="portal", Key={"pk": {"S": "TOKEN#1|"}, "sk": {"S": "TOKEN"}})
    with pytest.raises(NotAuthorised):
        harness.verify()
    harness.violations.clear()


def test_a_transaction_is_asked_for_by_what_it_does_to_each_item(
    harness: Harness, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = role(
        {"Action": ["dynamodb:PutItem"], **under("D#*", "LINK#*")},
        {"Action": ["dynamodb:DeleteItem"], **under("D#*")},
    )
    monkeypatch.setattr(iam, "role_of", lambda function: writer)
    put = {"Put": {"TableName": "portal", "Item": {**ITEM, "pk": {"S": "LINK#1|"}}}}
    delete = {"Delete": {"TableName": "portal", "Key": ITEM}}
    with iam.acting_as("a.writer"):
        client.transact_write_items(TransactItems=[put, {"Put": {"TableName": "portal", "Item": ITEM}}])
        client.transact_write_items(TransactItems=[delete])
    with harness.expecting(NotAuthorised) as caught, iam.acting_as("a.writer"):
        unlink = {"Delete": {"TableName": "portal", "Key": {**ITEM, "pk": {"S": "LINK#1|"}}}}
        client.transact_write_items(TransactItems=[delete, unlink])
    assert "dynamodb:DeleteItem" in str(caught[0])


def test_an_index_is_asked_for_by_its_own_key(
    harness: Harness, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = role(
        {"Action": ["dynamodb:Query"], "Resource": f"{TABLE}/index/by_due", **under("bill|*")},
        {"Action": ["dynamodb:Query"], **under("D#*")},
    )
    monkeypatch.setattr(iam, "role_of", lambda function: job)

    def query(kind: str) -> Any:
        return client.query(
            TableName="portal",
            IndexName="by_due",
            KeyConditionExpression="due_pk = :due",
            ExpressionAttributeValues={":due": {"S": f"{kind}|2023-01"}},
        )

    with iam.acting_as("a.job"):
        query("bill")
    with harness.expecting(NotAuthorised), iam.acting_as("a.job"):
        query("trial")


def test_a_call_that_nobody_has_described_is_refused(harness: Harness, client: Any, reader: str) -> None:
    with harness.expecting(NotAuthorised), iam.acting_as(reader):
        client.describe_table(TableName="portal")


def test_who_may_not_list_the_bucket_is_not_told_that_a_file_is_missing(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    bucket = "arn:aws:s3:::portal-files"
    blind = role({"Action": "s3:GetObject", "Resource": f"{bucket}/bills/*"})
    told = role(
        {"Action": "s3:GetObject", "Resource": f"{bucket}/bills/*"},
        {"Action": "s3:ListBucket", "Resource": bucket},
    )
    client = boto3.client("s3")
    client.create_bucket(
        Bucket="portal-files", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    monkeypatch.setattr(iam, "role_of", lambda function: told)
    with iam.acting_as("a.teller"), pytest.raises(ClientError):
        client.head_object(Bucket="portal-files", Key="bills/1.pdf")
    monkeypatch.setattr(iam, "role_of", lambda function: blind)
    with harness.expecting(NotAuthorised), iam.acting_as("a.blind"):
        client.head_object(Bucket="portal-files", Key="bills/1.pdf")


def test_an_address_that_is_signed_in_advance_needs_the_signers_permission(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    reports = role({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::portal-files/reports/*"})
    monkeypatch.setattr(iam, "role_of", lambda function: reports)
    client = boto3.client("s3")
    with iam.acting_as("a.signer"):
        client.generate_presigned_url("get_object", Params={"Bucket": "portal-files", "Key": "reports/1.zip"})
    with harness.expecting(NotAuthorised) as caught, iam.acting_as("a.signer"):
        client.generate_presigned_url("get_object", Params={"Bucket": "portal-files", "Key": "bills/1.pdf"})
    assert "bills/1.pdf" in str(caught[0])
