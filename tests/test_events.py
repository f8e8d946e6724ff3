"""The sample events are what the functions take: each is fed to the function that its file is named after."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.sources import Function, functions, resources
from tests.trees import plant
from tests.world import World

EVENTS = Path(__file__).parent.parent / "events"
SAMPLES = sorted(path.stem for path in EVENTS.glob("*.json"))

REFUSED = {"identity.sign_in": 401, "meta.refuse_unknown": 405}
"""Samples whose answer is a refusal: nobody has that password, and health is not put."""


def trigger_of(function: Function) -> str:
    """`api`, `job`, `queue`, `stream`, or `direct` for what is invoked in other ways."""
    kinds = {"Api": "api", "ScheduleV2": "job", "SQS": "queue", "DynamoDB": "stream"}
    events = resources("AWS::Serverless::Function")[function.logical_id].get("Events", {})
    return next((kinds[event["Type"]] for event in events.values()), "direct")


def sample(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


@pytest.mark.parametrize("name", SAMPLES)
def test_the_function_takes_its_sample(world: World, name: str) -> None:
    (function,) = (each for each in functions() if each.name == name)
    plant(world.now)
    answer = world.handler(name)(sample(name), world.context)
    match trigger_of(function):
        case "api":
            assert answer["statusCode"] == REFUSED.get(name, answer["statusCode"])
            assert answer["statusCode"] < 400 or name in REFUSED, answer["body"]
        case "job":
            assert answer["messages"] >= 0
        case "queue" | "stream":
            assert answer == {"batchItemFailures": []}
        case "direct":
            assert answer


def test_there_is_a_sample_for_every_kind_of_trigger_of_every_domain() -> None:
    kinds = {(function.domain, trigger_of(function)) for function in functions()}
    sampled = {
        (function.domain, trigger_of(function)) for function in functions() if function.name in SAMPLES
    }
    assert kinds - sampled == set(), "add events/<domain>.<function>.json"


@pytest.mark.parametrize("name", [name for name in SAMPLES if "pathParameters" in sample(name)])
def test_a_sample_of_an_operation_is_of_its_route(name: str) -> None:
    (function,) = (each for each in functions() if each.name == name)
    if function.is_operation:
        event, (method, path) = sample(name), function.route
        assert event["resource"] == path
        assert event["httpMethod"] == method or method == "ANY"
        for parameter, value in (event["pathParameters"] or {}).items():
            path = path.replace(f"{{{parameter}}}", value).replace(f"{{{parameter}+}}", f"{value}")
        assert event["path"].strip("/") == path.strip("/")


@pytest.mark.parametrize(
    "name", [name for name in SAMPLES if name in {each.name for each in functions() if each.is_operation}]
)
@pytest.mark.parametrize(
    "broken",
    [
        {"body": None},
        {"body": "{"},
        {"body": "[]"},
        {"body": "\x00", "isBase64Encoded": True},
        {"headers": None, "multiValueHeaders": None},
        {"headers": {"content-type": "text/plain"}},
        {"pathParameters": None},
        {
            "queryStringParameters": {"limit": "nonsense"},
            "multiValueQueryStringParameters": {"limit": ["nonsense"]},
        },
        {"requestContext": {}},
        {"requestContext": None},
    ],
    ids=str,
)
def test_what_is_malformed_is_refused_cleanly(world: World, name: str, broken: dict[str, Any]) -> None:
    answer = world.handler(name)({**sample(name), **broken}, world.context)
    assert answer["statusCode"] < 500, answer["body"]


@pytest.mark.parametrize(
    "name", [each.name for each in functions() if each.name in SAMPLES and trigger_of(each) == "queue"]
)
@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"unknown": 1}'])
def test_a_message_that_is_none_fails_by_itself(world: World, name: str, body: str) -> None:
    event = sample(name)
    event["Records"][0]["body"] = body
    failed = [{"itemIdentifier": event["Records"][0]["messageId"]}]
    assert world.handler(name)(event, world.context) == {"batchItemFailures": failed}
