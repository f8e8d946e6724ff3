"""The API against its own description: Schemathesis makes requests of the OpenAPI document, sound ones and broken ones.

Every operation is asked in this process, through the authorizer, by somebody whom it lets in and by nobody. Every check
that Schemathesis has is on, and the same requests come each time.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

from local.document import Operation, openapi
from local.document import operations as declared_operations
from portal.meta import routes
from portal.permissions import Permission
from tests.examples import Scene, usual_ids
from tests.identity_provider import provider
from tests.principals import ADMINISTRATOR, HERE, administrators, neighbourhood
from tests.support import Harness
from tests.world import World

EXAMPLES = 15
"""Requests for each operation, beside those that nobody makes who has signed in."""

_TOKEN = "the token has to be one that was given out"
_EITHER = "one field decides which others may be there"
_FORMAT = "texts have to be phone numbers, addresses, amounts or the like"
SAYS_LESS = {
    "add_ip_entry": _FORMAT,
    "answer_challenge": _EITHER,
    "change_account_settings": _FORMAT,
    "change_distributor": _FORMAT,
    "change_ip_entry": _EITHER,
    "change_password": "the present password has to be right",
    "change_plan": "a plan changes from certain days on",
    "change_task": _EITHER,
    "change_user": _EITHER,
    "confirm_email": _TOKEN,
    "confirm_totp": "the code has to be right",
    "create_account": _EITHER,
    "create_credit_note": _EITHER,
    "create_distributor": _FORMAT,
    "create_task": _EITHER,
    "create_user": _EITHER,
    "get_plan": "a plan changes from certain days on",
    "issue_token": _EITHER,
    "list_audit_entries": "instants lie between the years 2000 and 9998",
    "list_billing_history": "dates lie in some order",
    "record_payment": _FORMAT,
    "remove_totp": _EITHER,
    "request_audit_export": "instants lie between the years 2000 and 9998",
    "request_usage_report": _EITHER,
    "reset_password": _TOKEN,
    "set_default_subscription": _EITHER,
    "set_payment_details": _FORMAT,
    "set_prices": _FORMAT,
    "set_security_policy": "whether 90.0 is an integer, JSON Schema and JSON parsers see differently",
    "take_provider_event": "only what the payment provider has signed counts",
}
"""Operations that refuse more than a schema can say, and why: for them a 400 for what fits the schema is no fault."""

SAYS_MORE = {"report_events": "each event is refused by itself, in an answer of 200"}
"""Operations that take what does not fit the schema, and why."""

DOCUMENT = openapi()
OPERATIONS = [each for each in declared_operations() if each.method != "ANY"]
STAGE = "/live"

load_all_checks()


class Gateway:
    """API Gateway as far as it decides what reaches an operation: a WSGI application in front of the functions."""

    def __init__(self) -> None:
        self.world: World | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["RAW_URI"].partition("?")[0].removeprefix(STAGE)
        if path == "/openapi.json":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(DOCUMENT).encode()]
        assert self.world is not None
        function, ids = route(method, path)
        if method == "OPTIONS" and function != "meta.refuse_unknown":
            # The gateway answers what browsers ask beforehand, without any function.
            start_response("200 OK", [("Allow", "OPTIONS")])
            return []
        answer = self.world.let_in(function, _event(environ, method, ids))
        headers = [*answer.headers.items()]
        start_response(f"{answer.status} Answered", headers)
        return [b"" if method == "HEAD" else answer.text.encode()]


def route(method: str, path: str) -> tuple[str, dict[str, str]]:
    """The function that a request reaches, and what stands in the path where names are."""
    parts = path.split("/")
    fitting = []
    for each in OPERATIONS:
        template = each.path.split("/")
        if each.method == method and len(template) == len(parts) and all(map(_fits, template, parts)):
            fitting.append(each)
    if not fitting:
        return "meta.refuse_unknown", {"proxy": unquote(path.removeprefix("/"))}
    chosen = min(fitting, key=lambda each: [part.startswith("{") for part in each.path.split("/")])
    named = zip(chosen.path.split("/"), parts, strict=True)
    ids = {name.strip("{}"): unquote(part) for name, part in named if name.startswith("{")}
    return f"{chosen.domain}.{chosen.name}", ids


def _fits(wanted: str, part: str) -> bool:
    return bool(part) if wanted.startswith("{") else wanted == part


def _event(environ: dict[str, Any], method: str, ids: dict[str, str]) -> dict[str, Any]:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").title(): value.encode("latin-1").decode(errors="replace")
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    several = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True) or None
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    try:
        text, is_base64 = body.decode() or None, False
    except UnicodeDecodeError:
        text, is_base64 = base64.b64encode(body).decode(), True
    return {
        "type": "REQUEST",
        "httpMethod": method,
        "path": environ["PATH_INFO"],
        "headers": headers,
        "pathParameters": ids or None,
        "queryStringParameters": {name: values[-1] for name, values in several.items()} if several else None,
        "multiValueQueryStringParameters": several,
        "body": text,
        "isBase64Encoded": is_base64,
        "requestContext": {
            "requestId": "req-1",
            "identity": {"sourceIp": HERE, "userAgent": "Schemathesis"},
            "authorizer": {},
        },
    }


GATEWAY = Gateway()
SCHEMA = schemathesis.openapi.from_wsgi("/openapi.json", GATEWAY)


@pytest.fixture
def served(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world behind the gateway."""
    monkeypatch.setattr(GATEWAY, "world", world)
    monkeypatch.setattr(routes, "document", lambda: json.dumps(DOCUMENT))
    routes._paths.cache_clear()
    yield world
    routes._paths.cache_clear()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_answer_is_as_described(served: World, harness: Harness, operation: Operation) -> None:
    home = neighbourhood(served, harness)
    administrators(home)
    provider(served, harness, "google")
    described = SCHEMA[operation.path][operation.method]
    tier = next(iter(operation.declaration.portals), None)
    is_engines = operation.declaration.permission is Permission.ENGINE_REPORT
    who = home.named(ADMINISTRATOR[tier]) if tier and not is_engines else None
    token = who.token if who else "eng_value of engine-secret" if is_engines else ""
    ids = usual_ids(Scene(home, who or home.people[0]))
    start = harness.snapshot()
    spared = {"positive_data_acceptance": SAYS_LESS, "negative_data_rejection": SAYS_MORE}
    checks = [each for each in CHECKS.get_all() if operation.name not in spared.get(each.__name__, ())]
    asked: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=some.one_of(
            described.as_strategy(GenerationMode.POSITIVE), described.as_strategy(GenerationMode.NEGATIVE)
        ),
        known=some.booleans(),
        signed_in=some.sampled_from([True, True, True, False]),
    )
    def ask(case: Any, known: bool, signed_in: bool) -> None:
        harness.restore(start)
        if case.meta.generation.mode is GenerationMode.POSITIVE:
            if known:
                case.path_parameters = {name: ids[name] for name in operation.parameters}
            # Which cursors there are is not for the schema to say.
            (case.query or {}).pop("cursor", None)
        # Where the headers are what is wrong with a request, a good token would mend it.
        with_token = token and signed_in and not case.meta.is_negative_at(ParameterLocation.HEADER)
        headers = {"Authorization": f"Bearer {token}"} if with_token else {}
        answer = case.call(headers=headers)
        asked.append(answer.status_code)
        case.validate_response(answer, checks=checks, headers=headers)

    ask()
    assert asked
    assert max(asked) < 500


def test_what_is_excepted_exists() -> None:
    assert set(SAYS_LESS) | set(SAYS_MORE) <= {each.name for each in OPERATIONS}
