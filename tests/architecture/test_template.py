"""The template as CloudFormation gets it: small enough, no stars, and nothing that fails in silence."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from portal import keys
from portal.settings import QUEUES
from portal.tree import VENDOR
from tests.architecture.sources import FUNCTIONS, PORTAL, functions, template
from tests.support.expansion import expanded

MOST_RESOURCES = 450

MANAGED = {"arn:${AWS::Partition}:iam::aws:policy/AWSXRayDaemonWriteAccess"}
"""The one policy of AWS's own: traces have no resource to name."""


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource.get("Properties", {})
        for name, resource in expanded().items()
        if resource["Type"] == kind
    }


def referred(value: Any) -> str:
    """The logical id in `!Ref X` or `!GetAtt X.Arn`."""
    if isinstance(value, dict):
        ((kind, what),) = value.items()
        return str(what if kind == "Ref" else what[0] if isinstance(what, list) else what.partition(".")[0])
    return str(value)


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, resource in expanded().items():
        properties = resource.get("Properties", {})
        documents = [
            each["PolicyDocument"] for each in properties.get("Policies", []) if "PolicyDocument" in each
        ]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        for document in documents:
            for statement in document["Statement"]:
                yield name, statement


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def texts(value: Any) -> list[str]:
    """An ARN, or each of several, as far as it is spelled out."""
    return [_text(each) for each in listed(value)]


def _text(value: Any) -> str:
    """The text in `!Sub`, the logical id in `!Ref` and `!GetAtt`."""
    if isinstance(value, dict):
        return _text(next(iter(value.values())))
    return _text(value[0]) if isinstance(value, list) else str(value)


def test_it_stays_below_the_limit_of_resources() -> None:
    assert len(expanded()) <= MOST_RESOURCES


def test_no_policy_has_a_star() -> None:
    for name, statement in statements():
        actions = listed(statement["Action"])
        assert not [action for action in actions if "*" in action], f"{name}: name each of {actions}"
        assert "*" not in texts(statement.get("Resource", [])), f"{name}: {actions} on every resource"


def test_no_policy_lets_anybody_scan() -> None:
    scanning = [name for name, statement in statements() if "dynamodb:Scan" in listed(statement["Action"])]
    assert scanning == []


def test_no_role_has_a_policy_of_somebody_else() -> None:
    attached = {
        text for role in of("AWS::IAM::Role").values() for text in texts(role.get("ManagedPolicyArns", []))
    }
    assert attached <= MANAGED


def test_open_functions_reach_nothing_of_any_tenant() -> None:
    roles = {
        referred(function["Role"])
        for name, function in of("AWS::Lambda::Function").items()
        if name in ("GetHealth", "GetOpenapi", "GetDocs", "RefuseUnknown")
    }
    (role,) = roles
    beyond_logs = [
        each for name, each in statements() if name == role and "logs:PutLogEvents" not in each["Action"]
    ]
    assert beyond_logs == [
        {
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem"],
            "Resource": {"Fn::GetAtt": "Table.Arn"},
            "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [keys.node(VENDOR)]}},
        }
    ]


def test_who_may_use_an_index_is_named_index_by_index() -> None:
    wide = [
        name
        for name, each in statements()
        if any(text.endswith("/index/*") for text in texts(each.get("Resource", [])))
    ]
    assert wide == []


@cache
def watched() -> set[str]:
    """Queues with an alarm on what lies in them."""
    found = set()
    for alarm in of("AWS::CloudWatch::Alarm").values():
        if alarm["Namespace"] == "AWS/SQS" and alarm["MetricName"] == "ApproximateNumberOfMessagesVisible":
            assert alarm["AlarmActions"], "an alarm that tells nobody"
            assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")
            found |= {referred(each["Value"]) for each in alarm["Dimensions"]}
    return found


@pytest.mark.parametrize("name", sorted(of("AWS::SQS::Queue")))
def test_what_a_queue_cannot_deliver_raises_an_alarm(name: str) -> None:
    redrive = of("AWS::SQS::Queue")[name].get("RedrivePolicy")
    dead_letters = referred(redrive["deadLetterTargetArn"]) if redrive else name
    assert dead_letters in watched(), f"{name}: no alarm on {dead_letters}"


@pytest.mark.parametrize("name", QUEUES)
def test_every_queue_that_is_written_to_exists_with_a_dead_letter_queue(name: str) -> None:
    assert of("AWS::SQS::Queue")[name]["RedrivePolicy"]["maxReceiveCount"] >= 2


def test_every_schedule_has_a_dead_letter_queue_with_an_alarm() -> None:
    schedules = of("AWS::Scheduler::Schedule")
    jobs = [function for function in functions() if function.stem.startswith("run_")]
    assert len(schedules) == len(jobs)
    for name, schedule in schedules.items():
        letters = schedule["Target"].get("DeadLetterConfig", {}).get("Arn")
        assert letters, f"{name} has no dead-letter queue"
        assert referred(letters) in watched(), f"{name}: no alarm on its dead-letter queue"


def test_a_job_that_fails_after_it_was_started_is_not_lost_either() -> None:
    """A schedule starts its function asynchronously: the function itself has to say where failures go."""
    for function in functions():
        if function.stem.startswith("run_"):
            letters = of("AWS::Lambda::Function")[function.logical_id].get("DeadLetterConfig")
            assert letters, f"{function} has no DeadLetterQueue"
            assert referred(letters["TargetArn"]) in watched()


def test_what_a_stream_consumer_cannot_take_raises_an_alarm() -> None:
    streams = {
        name: mapping
        for name, mapping in of("AWS::Lambda::EventSourceMapping").items()
        if "StartingPosition" in mapping
    }
    assert streams
    for name, mapping in streams.items():
        letters = mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
        assert letters, f"{name} drops what fails"
        assert referred(letters) in watched(), f"{name}: no alarm on its failures"


def test_workers_answer_for_each_message_and_are_given_time_to() -> None:
    for name, mapping in of("AWS::Lambda::EventSourceMapping").items():
        if "StartingPosition" in mapping:
            continue
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
        queue = of("AWS::SQS::Queue")[referred(mapping["EventSourceArn"])]
        worker = of("AWS::Lambda::Function")[referred(mapping["FunctionName"])]
        assert queue["VisibilityTimeout"] > worker["Timeout"], (
            f"{name}: the message comes back while it is worked on"
        )


def test_the_table_is_protected_and_found_by_index() -> None:
    (table,) = of("AWS::DynamoDB::Table").values()
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert table["SSESpecification"]["SSEEnabled"]
    assert "DeletionProtectionEnabled" in table
    assert "LocalSecondaryIndexes" not in table
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {
        "by_parent",
        "by_distributor",
        "by_due",
        "audit_by_user",
        "audit_by_account",
        "audit_by_activity",
    }


def test_the_bucket_is_private_and_clears_away_what_nobody_finishes() -> None:
    (bucket,) = of("AWS::S3::Bucket").values()
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)
    assert [rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == "reports/"] == [30]


def test_every_function_runs_the_declared_runtime_with_a_role_of_its_own_kind() -> None:
    for name, function in of("AWS::Lambda::Function").items():
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"]), name
        assert isinstance(function["Role"], dict), f"{name}: SAM would make a role of its own"
        assert function["LoggingConfig"].get("LogGroup"), f"{name}: its logs would be kept for ever"


def test_every_log_group_forgets() -> None:
    forever = [name for name, group in of("AWS::Logs::LogGroup").items() if "RetentionInDays" not in group]
    assert forever == []


def test_the_functions_are_told_every_queue_that_the_code_knows() -> None:
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    urls = {referred(value) for name, value in variables.items() if name.endswith("_QUEUE_URL")}
    assert urls == set(QUEUES)


def test_nothing_beside_the_functions_is_in_their_code() -> None:
    strangers = [
        str(path.relative_to(FUNCTIONS))
        for path in FUNCTIONS.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert strangers == []


def test_nothing_but_the_portal_is_in_its_layer() -> None:
    allowed = {".py", ".json", ".html", ".txt", ".ttf", ".pyc", ".typed"}
    strangers = [
        str(path.relative_to(PORTAL))
        for path in PORTAL.rglob("*")
        if path.is_file() and path.suffix not in allowed and path.name != "py.typed"
    ]
    assert strangers == []
