"""Whatever a function is fed with, it refuses cleanly: no stack trace, no 500, no batch that fails for one message."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from local.stage import sqs_record
from portal.operation import ANYBODY, declared
from portal.permissions import HELD_ON, Permission
from portal.scope import Caller
from portal.settings import QUEUES
from portal.tree import VENDOR, Node, Tier
from tests.architecture.sources import Function, functions
from tests.support.stripe import FakeStripe
from tests.test_events import trigger_of
from tests.trees import plant
from tests.world import ENGINE, World, administrator

HUGE = "x" * 1_100_000
DEEP = "[" * 100_000
ODD = ["\ud800", "\x00", "\u202e", "\U0010ffff", "é" * 300, "a\r\nb: c", "__proto__", "{}", "%00", "'\"<>&|#"]

PARTS: list[dict[str, Any]] = [
    {},
    {"body": None},
    {"body": ""},
    {"body": "{"},
    {"body": "[]"},
    {"body": "null"},
    {"body": "NaN"},
    {"body": "\x00"},
    {"body": "{}" + "\ud800"},
    {"body": '{"a": "\\ud800"}'},
    {"body": HUGE},
    {"body": DEEP},
    {"body": json.dumps({HUGE[:100_000]: 1, "\u202e" * 500: 2})},
    {"body": json.dumps({each.encode(errors="ignore").decode(): each for each in ODD})},
    {"body": "!!! no base64", "isBase64Encoded": True},
    {"body": "é", "isBase64Encoded": True},
    {"body": "/////w==", "isBase64Encoded": True},
    {"body": "1" * 10_000},
    {"headers": None, "multiValueHeaders": None},
    {"headers": {}},
    {"headers": {"content-type": "text/plain"}},
    {"headers": {each: each for each in ODD}},
    {"headers": {"content-type": "application/json", "idempotency-key": HUGE}},
    {"headers": {"content-type": "application/json", "idempotency-key": "\ud800"}},
    {"headers": {"content-type": "application/json", "user-agent": HUGE, "origin": "null"}},
    {"pathParameters": None},
    {"pathParameters": {}},
    *({"pathParameters": dict.fromkeys(["account_id", "proxy"], each)} for each in ODD),
    {"queryStringParameters": {each: each for each in ODD}},
    {"multiValueQueryStringParameters": {each: [each, each] for each in ODD}},
    {"multiValueQueryStringParameters": {"limit": []}},
    {"multiValueQueryStringParameters": {"cursor": [HUGE], "limit": ["99999999999999999999"]}},
    *({"multiValueQueryStringParameters": {"cursor": [each]}} for each in ("=", "\ud800", "AAAA", "é")),
    {"requestContext": {}},
    {"requestContext": None},
    {"requestContext": {"authorizer": None, "identity": None}},
]
"""Parts of a request in the place of the sound ones: what can be sent, and what API Gateway could leave out."""

NO_REQUESTS: list[Any] = [
    None,
    [],
    "event",
    7,
    {"headers": "text"},
    {"headers": {"content-type": ["application/json"]}},
    {"headers": {"content-type": None, 7: "seven"}},
    {"body": {"a": 1}},
    {"body": ["a"]},
    {"body": 7},
    {"pathParameters": "text"},
    {"pathParameters": {"account_id": ["acc_1"]}},
    {"queryStringParameters": "text"},
    {"multiValueQueryStringParameters": {"limit": "7"}},
    {"multiValueQueryStringParameters": {"limit": [7]}},
    {"requestContext": "text"},
    {"requestContext": {"identity": "text"}},
    {"requestContext": {"authorizer": "text"}},
    {"requestContext": {"requestId": {"a": 1}}},
]
"""What API Gateway never makes of a request."""


def of_kind(*kinds: str) -> list[Function]:
    return [each for each in functions() if trigger_of(each) in kinds]


def sound(function: Function, caller: Caller | None) -> dict[str, Any]:
    """A request that is well-formed, but for the fields of its body."""
    route = function.trigger
    ids = {
        "account_id": "acc_north",
        "partner_id": "prt_north",
        "distributor_id": "dst_north",
        "proxy": "nowhere",
    }
    return {
        "httpMethod": route.split(" ")[0],
        "path": "/",
        "headers": {"content-type": "application/json"},
        "pathParameters": {name: ids.get(name, "any") for name in _names_in(route)} or None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "body": "{}",
        "isBase64Encoded": False,
        "requestContext": {
            "requestId": "req-1",
            "identity": {"sourceIp": "198.51.100.7", "userAgent": "Chrome"},
            "authorizer": caller.to_context() if caller else {},
        },
    }


def _names_in(route: str) -> list[str]:
    return [part.strip("{}+") for part in route.split("/") if part.startswith("{")]


def fitting(world: World, function: Function) -> Caller | None:
    """Somebody whom the operation lets in; nobody, if it is open."""
    declaration = declared(world.handler(function.name))
    if declaration.open_because:
        return None
    if declaration.permission is Permission.ENGINE_REPORT:
        return ENGINE
    portals = {
        Tier.VENDOR: VENDOR,
        Tier.DISTRIBUTOR: Node("dst_north"),
        Tier.PARTNER: Node("dst_north", "prt_north"),
        Tier.ACCOUNT: Node("dst_north", "prt_north", "acc_north"),
    }
    return administrator(portals[declaration.portals[0]], "usr_fed")


def flaws(answer: Any, *, refused: bool) -> Iterator[str]:
    """What is wrong with the form of an answer."""
    if answer["statusCode"] >= 500 or (refused and answer["statusCode"] < 400):
        yield f"{answer['statusCode']} {answer['body'][:300]}"
    if not isinstance(answer["body"], str) or not all(
        isinstance(each, str) for each in answer["headers"].values()
    ):
        yield "this is no answer for API Gateway"
    if any("\r" in value or "\n" in value for value in answer["headers"].values()):
        yield "a header of two lines"
    if answer["statusCode"] >= 400 and answer["headers"]["Content-Type"] == "application/problem+json":
        json.loads(answer["body"])
        if len(answer["body"]) > 100_000:
            yield f"a problem of {len(answer['body'])} characters"
    answer["body"].encode()


def parts_for(world: World, function: Function) -> list[dict[str, Any]]:
    """Those that the operation looks at, and one of each of those that it does not."""
    declaration = declared(world.handler(function.name))
    ignored = {
        "body": declaration.body is None,
        "pathParameters": "{" not in declaration.route,
        "queryStringParameters": True,
        "multiValueQueryStringParameters": declaration.query is None,
    }
    seen: set[str] = set()
    parts = []
    for part in PARTS:
        name = next(iter(part), "")
        if not ignored.get(name) or name not in seen:
            parts.append(part)
        seen.add(name)
    return parts


def said(event: Any) -> str:
    return repr(event)[:120]


def test_operations_refuse_what_is_malformed(world: World, stripe: FakeStripe) -> None:
    plant(world.now, waiting=True)
    wrong = []
    for function in of_kind("api"):
        whole = sound(function, fitting(world, function))
        for part in parts_for(world, function):
            answer = world.invoke(function.name, {**whole, **part})
            wrong += [f"{function} {said(part)}: {flaw}" for flaw in flaws(answer, refused=False)]
    assert not wrong, "\n".join(wrong[:40])


def test_operations_refuse_what_is_no_request(world: World) -> None:
    wrong = []
    for function in of_kind("api"):
        whole = sound(function, fitting(world, function))
        for part in NO_REQUESTS:
            event = {**whole, **part} if isinstance(part, dict) else part
            answer = world.invoke(function.name, event)
            wrong += [f"{function} {said(part)}: {flaw}" for flaw in flaws(answer, refused=True)]
    assert not wrong, "\n".join(wrong[:40])


@pytest.mark.parametrize("tier", ANYBODY)
def test_a_caller_that_no_authorizer_named_is_nobody(world: World, tier: Tier) -> None:
    permissions = " ".join(HELD_ON[tier])
    for context in (
        {"kind": "user"},
        {"kind": "user", "permissions": permissions, "portal": "a/b/c/d"},
        {"kind": "user", "permissions": ["dashboard.view"]},
        {"kind": "user", "portal": {"a": 1}},
        {"kind": ["user"]},
        {"kind": "administrator", "permissions": permissions},
        {"user_id": "usr_1", "permissions": permissions},
    ):
        event = {"httpMethod": "GET", "requestContext": {"authorizer": context}}
        answer = world.invoke("dashboard.get_dashboard", event)
        assert answer["statusCode"] in (401, 403), (context, answer)


AUTHORIZATIONS: list[Any] = [
    None, "", " ", "Bearer", "Bearer ", "bearer\t", "Basic", "Bearer " + HUGE, "Bearer \ud800", "Bearer \x00", 7,
    ["Bearer x"], {"Bearer": "x"}, "Bearer " + "dpa_" * 1000, "Bearer dpr_ses_1.x", "Bearer eng_",
    "Bearer eng_" + "x" * 4000,
    "Bearer dpa_" + "é" * 43, "Bearer dpa_x, Bearer dpa_y", "dpa_" + "x" * 43, True, b"Bearer x",
]  # fmt: skip


def test_the_authorizer_lets_nobody_in_and_never_raises(world: World) -> None:
    arn = "arn:aws:execute-api:eu-central-1:123456789012:api/live/GET/v1/me"
    good = {"type": "REQUEST", "methodArn": arn, "requestContext": {"identity": {"sourceIp": "198.51.100.7"}}}
    events: list[Any] = [{**good, "headers": {"Authorization": each}} for each in AUTHORIZATIONS]
    events += [{**good, "headers": each} for each in (None, [], "text", 7, {7: 7}, {"authorization": None})]
    events += [
        None, [], {}, "event", 7, {"methodArn": arn}, {"methodArn": None}, {"methodArn": 7}, {"methodArn": "nonsense"},
        {**good, "requestContext": None}, {**good, "requestContext": "text"}, {**good, "requestContext": {"identity": 7}},
        {**good, "requestContext": {"identity": {"sourceIp": 7}}},
        {**good, "requestContext": {"identity": {"sourceIp": HUGE}}},
    ]  # fmt: skip
    for event in events:
        answer = world.invoke("identity.authorize", event)
        [statement] = answer["policyDocument"]["Statement"]
        caller = Caller.from_context(answer["context"])
        assert caller.kind == "anonymous", said(event)
        assert caller.permissions == frozenset(), said(event)
        assert all(isinstance(each, str) for each in answer["context"].values())
        assert statement["Effect"] == "Deny" or statement["Resource"].startswith("arn:aws:execute-api:"), (
            said(event)
        )


AS_OF: list[Any] = [
    "yesterday",
    "2023-01-10",
    "2023-01-10T12:00:00",
    "",
    [],
    {},
    "\ud800",
    HUGE,
    "9" * 400,
    True,
    1e300,
]


def test_a_job_refuses_an_instant_that_is_none(world: World) -> None:
    for function in of_kind("job"):
        for as_of in AS_OF:
            with pytest.raises(ValidationError):
                world.invoke(function.name, {"as_of": as_of})
        for event in ("text", 7):
            with pytest.raises(ValidationError):
                world.invoke(function.name, event)  # type: ignore[arg-type]
    assert {queue: world.messages(queue) for queue in QUEUES} == {queue: [] for queue in QUEUES}


_NAMES = ["account", "distributor_id", "node", "bill_sk", "report_id", "user_id", "to"]
MESSAGES = [
    "", "{", "[]", "null", "7", '"text"', "{}", '{"unknown": 1}', "NaN", "\x00", DEEP, '{"a": "\\ud800"}', '{"as_of": "x"}',
    json.dumps({name: ["x"] for name in _NAMES}), json.dumps(dict.fromkeys(_NAMES)),
]  # fmt: skip
"""What is no message for anybody."""


def test_a_worker_reports_every_message_that_is_none_and_only_those(world: World) -> None:
    wrong = []
    for function in of_kind("queue"):
        records = [{**sqs_record(body), "messageId": f"message-{n}"} for n, body in enumerate(MESSAGES)]
        answer = world.invoke(function.name, {"Records": records})
        if answer != {"batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in records]}:
            wrong.append(f"{function}: {answer}")
        for event in ({}, {"Records": []}, {"Records": None}):
            if world.invoke(function.name, event) != {"batchItemFailures": []}:
                wrong.append(f"{function} {event}")
    assert not wrong, "\n".join(wrong)


def _image(**values: Any) -> dict[str, Any]:
    return {"pk": {"S": "D#dst_1|"}, "sk": {"S": "NODE"}, **values}


IMAGES: list[dict[str, Any]] = [
    {},
    {"NewImage": None},
    {"NewImage": {}},
    {"NewImage": _image()},
    {"NewImage": _image(kind={"S": "nobody-knows"})},
    {"NewImage": _image(kind={"S": ""})},
    {"NewImage": _image(kind={"N": "7"})},
    {"NewImage": _image(kind={"NULL": True})},
    {"OldImage": _image(kind={"S": "nobody-knows"}), "NewImage": _image(kind={"S": "another"})},
    {"Keys": {"pk": {"S": "|#|#"}, "sk": {"S": "é\u202e"}}},
]


def test_a_stream_consumer_passes_over_what_it_does_not_know(world: World) -> None:
    for function in of_kind("stream"):
        records = [
            {"eventID": str(n), "eventName": "MODIFY", "dynamodb": {"SequenceNumber": str(n), **image}}
            for n, image in enumerate(IMAGES)
        ]
        assert world.invoke(function.name, {"Records": records}) == {"batchItemFailures": []}, function.name
        for event in ({}, {"Records": []}, {"Records": None}, {"Records": [{"eventName": "REMOVE"}]}):
            assert world.invoke(function.name, event) == {"batchItemFailures": []}, function.name


def test_what_is_invoked_by_hand_refuses_what_it_cannot_use(world: World) -> None:
    by_hand = [each for each in of_kind("direct") if each.name != "identity.authorize"]
    assert by_hand
    for function in by_hand:
        for event in (
            {},
            None,
            [],
            {"email": 7, "name": []},
            {"email": "\ud800", "name": "\ud800"},
            {"unknown": 1},
        ):
            with pytest.raises(ValidationError):
                world.invoke(function.name, event)  # type: ignore[arg-type]
