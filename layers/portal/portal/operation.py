"""HTTP in and out: who is calling, may they, what do they send; then load, decide, commit, show.

A handler is a function of a `Call` (and of its body and query, where it takes some) that returns a view. It stages its
changes with `call.commit`; they are written in one transaction, together with audit entries, outbox messages and the
answer to a repeated `Idempotency-Key`, after it has returned. If somebody else changed what it had read, it is run again.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from portal import clock, paging
from portal.access import accessible_to
from portal.errors import (
    AccessDenied,
    FieldError,
    Invalid,
    MethodNotAllowed,
    NotFound,
    NotPermitted,
    NotSignedIn,
    PeopleOnly,
    PortalError,
    TooLarge,
    UnsupportedMediaType,
    status_of,
)
from portal.idempotency import Repeat
from portal.journal import Entry, Message, written
from portal.permissions import Permission
from portal.proxy_events import is_request
from portal.scope import ANONYMOUS, Caller, Origin, Scope
from portal.settings import settings
from portal.table import Write, settled, stage, write
from portal.telemetry import logger, metrics, tracer
from portal.tree import Tier

LARGEST_BODY = 1_000_000
_MOST_FIELD_ERRORS = 50
_LONGEST_FIELD_NAME = 200
_TIME_TO_ANSWER_MILLISECONDS = 6_000
"""What has to be left of the function's time to write down and send the answer of a bulk operation."""
REST_OF_PATH = "proxy"
"""The path parameter of the route that catches what no other does; the only one with slashes in it."""
_PATH_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

TENANTS = (Tier.DISTRIBUTOR, Tier.PARTNER, Tier.ACCOUNT)
RESELLERS = (Tier.DISTRIBUTOR, Tier.PARTNER)
DISTRIBUTORS = (Tier.DISTRIBUTOR,)
OPERATORS = (Tier.VENDOR,)
ANYBODY = (*OPERATORS, *TENANTS)


class SecretAnswer(BaseModel):
    """An answer that holds secrets, such as tokens: it is never stored, so no Idempotency-Key brings it again."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is more than a view: another status, headers, or a body that is not JSON."""

    body: BaseModel | str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Declaration:
    """What an operation says of itself: the source of OpenAPI, the operations table and the access tests."""

    name: str
    route: str
    summary: str
    permission: Permission | None
    portals: tuple[Tier, ...]
    people_only: bool
    open_because: str
    status: int
    body: type[BaseModel] | None
    form: bool
    query: type[BaseModel] | None
    answer: type[BaseModel] | None


class Call:
    """One request of one caller: what a handler gets."""

    def __init__(
        self, event: Mapping[str, Any], caller: Caller, now: datetime, declaration: Declaration, runtime: Any
    ) -> None:
        context = event.get("requestContext") or {}
        identity = context.get("identity") or {}
        self.caller = caller
        self.now = now
        self.path: dict[str, str] = event.get("pathParameters") or {}
        self.headers = {str(name).lower(): value for name, value in (event.get("headers") or {}).items()}
        user_agent: str = identity.get("userAgent") or self.headers.get("user-agent") or ""
        self.origin = Origin(now, identity.get("sourceIp") or "", user_agent)
        self.declaration = declaration
        self._context = context
        self._event = event
        self.runtime = runtime
        """What the Lambda runtime says of this invocation."""
        self.staged: list[Write] = []
        self._scope: Scope | None = None

    @property
    def scope(self) -> Scope:
        """What of the tree the caller may see: the portal the token speaks for, narrowed to accessible accounts."""
        if self._scope is None:
            self._scope = Scope(self.caller.portal, accessible_to(self.caller))
        return self._scope

    @property
    def address(self) -> str:
        """The caller's IP address as API Gateway saw it."""
        return self.origin.address

    @property
    def user_agent(self) -> str:
        return self.origin.user_agent

    @property
    def body(self) -> bytes:
        """The body byte for byte, where that is what was signed.

        Raises:
            TooLarge, Invalid: it is too long, or cannot be read.
        """
        return _sent(self._event)

    def address_of(self, path: str) -> str:
        """Where a browser reaches another operation of this API, e.g. `/v1/health`: never by what a header says."""
        if settings.api_url:
            return settings.api_url.replace("{api}", self._context.get("apiId") or "") + path
        own = re.sub(r"\{(\w+)\}", lambda name: self.path[name[1]], self.declaration.route.split(" ")[1])
        # Before it stands the stage, or what a domain of one's own maps to it.
        before = (self._context.get("path") or own).removesuffix(own)
        return f"https://{self._context.get('domainName') or ''}{before}{path}"

    @property
    def time_is_short(self) -> bool:
        """Whether a bulk operation has to stop and answer with what it has done so far."""
        left: int = self.runtime.get_remaining_time_in_millis()
        return left < _TIME_TO_ANSWER_MILLISECONDS

    def commit(
        self,
        *writes: Write,
        audit: Iterable[Entry] = (),
        send: Iterable[Message] = (),
        by: Caller | None = None,
    ) -> None:
        """Stage changes, audit entries and messages: all are written together, or none, once the handler has returned.

        `by` names who did it where the request itself shows that (signing in, confirming an address).
        """
        self.staged += [stage(each) for each in writes]
        self.staged += written(audit, send, by=by or self.caller, at=self.now)

    def commit_now(
        self,
        *writes: Write,
        audit: Iterable[Entry] = (),
        send: Iterable[Message] = (),
        by: Caller | None = None,
    ) -> None:
        """Write one transaction at once: for bulk operations, which commit thing by thing and tell what became of each.

        Raises:
            Contended: as `table.write`; wrap load and commit in `table.settled`.
        """
        write([*(stage(each) for each in writes), *written(audit, send, by=by or self.caller, at=self.now)])

    def page(
        self,
        rows: Iterable[Any],
        query: paging.PageQuery,
        *,
        key: Callable[[Any], paging.SortKey],
        show: Callable[[Any], Any],
        descending: bool = False,
    ) -> Any:
        """A page of a list for this caller; see `paging.page`."""
        return paging.page(rows, query, bound_to=self._list(), key=key, show=show, descending=descending)

    def page_through(
        self,
        read: Callable[[str, int], Iterable[Any]],
        query: paging.PageQuery,
        *,
        key: Callable[[Any], str],
        show: Callable[[Any], Any],
        total: int,
    ) -> Any:
        """A page of a list that is too long to be loaded; see `paging.page_through`."""
        return paging.page_through(read, query, bound_to=self._list(), key=key, show=show, total=total)

    def long_page(
        self,
        read: Callable[[str], Iterable[tuple[str, Any]]],
        query: paging.PageQuery,
        *,
        show: Callable[[Any], Any],
        most_examined: int,
    ) -> Any:
        """A page of a list that is too long to be counted; see `paging.long_page`."""
        return paging.long_page(read, query, bound_to=self._list(), show=show, most_examined=most_examined)

    def _list(self) -> str:
        """Who asks which list: what its cursors are bound to."""
        where = "/".join(self.path.values())
        return f"{self.caller.user_id} {self.caller.portal} {self.declaration.name} {where}"


Handler = Callable[..., BaseModel | Reply | None]
LambdaHandler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


def operation(
    permission: Permission | None,
    *,
    portals: tuple[Tier, ...] = TENANTS,
    status: int = 200,
    people_only: bool = False,
) -> Callable[[Handler], LambdaHandler]:
    """An operation for those who hold `permission` (None: anybody signed in) in a portal of one of these tiers.

    `people_only`: API keys may not, because it is about how the person signs in.
    """
    return lambda handler: _wrap(
        handler,
        permission=permission,
        portals=portals,
        people_only=people_only,
        because="",
        status=status,
        form=False,
    )


def public_operation(
    *, because: str, status: int = 200, form: bool = False
) -> Callable[[Handler], LambdaHandler]:
    """An operation that needs no sign-in. `form`: the body is form-encoded, as OAuth 2.0 has it."""
    return lambda handler: _wrap(
        handler, permission=None, portals=(), people_only=False, because=because, status=status, form=form
    )


def _wrap(
    handler: Handler,
    *,
    permission: Permission | None,
    portals: tuple[Tier, ...],
    people_only: bool,
    because: str,
    status: int,
    form: bool,
) -> LambdaHandler:
    declaration = _declaration(handler, permission, portals, people_only, because, status, form)

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    @tracer.capture_lambda_handler(capture_response=False)
    @wraps(handler)
    def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        logger.append_keys(operation=declaration.name)
        metrics.add_dimension("operation", declaration.name)
        event, malformed = (event, False) if is_request(event) else ({}, True)
        request_id = ((event.get("requestContext") or {}).get("requestId")) or context.aws_request_id
        try:
            if malformed:
                raise Invalid("This is no request.")
            reply = _answer(handler, declaration, event, context)
        except PortalError as error:
            logger.info("refused", extra={"code": error.code(), "detail": error.detail})
            metrics.add_metric("Refused", unit="Count", value=1)
            reply = _problem(error, status_of(type(error)), request_id)
        except Exception:
            logger.exception("failed")
            metrics.add_metric("Failed", unit="Count", value=1)
            reply = _problem(_InternalError(), 500, request_id)
        else:
            logger.info("answered")
            metrics.add_metric("Answered", unit="Count", value=1)
        return _response(reply, declaration, event, request_id)

    lambda_handler.declaration = declaration  # type: ignore[attr-defined]
    return lambda_handler


class _InternalError(PortalError):
    detail = "Something went wrong on our side. Nothing was changed, or it was changed whole; it is safe to try again."

    @classmethod
    def code(cls) -> str:
        return "internal_error"


def _declaration(
    handler: Handler,
    permission: Permission | None,
    portals: tuple[Tier, ...],
    people_only: bool,
    because: str,
    status: int,
    form: bool,
) -> Declaration:
    types = handler.__annotations__
    docstring = (handler.__globals__.get("__doc__") or "").strip().splitlines() or [""]
    answer = types.get("return")
    return Declaration(
        name=handler.__module__.rpartition(".")[2],
        route=docstring[0],
        summary=" ".join(line.strip() for line in docstring[1:]).strip(),
        permission=permission,
        portals=portals,
        people_only=people_only,
        open_because=because,
        status=status,
        body=types.get("body"),
        form=form,
        query=types.get("query"),
        answer=answer if isinstance(answer, type) and issubclass(answer, BaseModel) else None,
    )


def _answer(handler: Handler, declaration: Declaration, event: Mapping[str, Any], runtime: Any) -> Reply:
    caller = _caller(event)
    logger.append_keys(portal=str(caller.portal), user_id=caller.user_id)
    _permit(caller, declaration)
    in_path = event.get("pathParameters") or {}
    for name in re.findall(r"\{(\w+)\+?\}", declaration.route):
        value = in_path.get(name)
        if value is None or (name != REST_OF_PATH and not _PATH_PARAMETER.fullmatch(value)):
            raise NotFound
    arguments: dict[str, BaseModel] = {}
    if declaration.body:
        arguments["body"] = _validated(declaration.body, _body(event, declaration.form))
    if declaration.query:
        arguments["query"] = _validated(declaration.query, _query(event))
    now = clock.now()

    def attempt() -> Reply:
        call = Call(event, caller, now, declaration, runtime)
        repeat = _repeat(call, event)
        if repeat and (known := repeat.answer()):
            return Reply(known.body, known.status, {"Idempotent-Replayed": "true"})
        result = handler(call, **arguments)
        reply = result if isinstance(result, Reply) else Reply(result)
        if repeat:
            body = (
                reply.body.model_dump(mode="json", exclude_unset=True)
                if isinstance(reply.body, BaseModel)
                else None
            )
            call.staged.append(repeat.remember(reply.status or declaration.status, body))
        write(call.staged)
        return reply

    return settled(attempt)


def _repeat(call: Call, event: Mapping[str, Any]) -> Repeat | None:
    """What to do about an Idempotency-Key: nothing, unless a user sends one with a POST whose answer may be kept."""
    key, answer = call.headers.get("idempotency-key"), call.declaration.answer
    if not key or event.get("httpMethod") != "POST" or call.caller.kind != "user":
        return None
    if call.declaration.open_because or (answer and issubclass(answer, SecretAnswer)):
        return None
    what = orjson.dumps([call.path, event.get("body"), event.get("multiValueQueryStringParameters")])
    return Repeat.of(call.caller, call.declaration.name, key, what, call.now)


def _caller(event: Mapping[str, Any]) -> Caller:
    context = (event.get("requestContext") or {}).get("authorizer") or {}
    try:
        return Caller.from_context(context) if "kind" in context else ANONYMOUS
    except (AttributeError, TypeError, ValueError):
        # No authorizer of this API wrote it.
        return ANONYMOUS


def _permit(caller: Caller, declaration: Declaration) -> None:
    if declaration.open_because:
        return
    if caller.refused == AccessDenied.code():
        raise AccessDenied
    if caller.kind == "anonymous":
        raise NotSignedIn
    if declaration.permission is not None and not caller.may(declaration.permission):
        raise NotPermitted
    if declaration.people_only and caller.client_id:
        raise PeopleOnly
    if declaration.permission is not Permission.ENGINE_REPORT and (
        caller.kind != "user" or caller.portal.tier not in declaration.portals
    ):
        raise NotPermitted


def _validated(model: type[BaseModel], given: Any) -> BaseModel:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        fields = tuple(
            FieldError(
                ".".join(str(part) for part in each["loc"])[:_LONGEST_FIELD_NAME] or "body", each["msg"]
            )
            for each in found[:_MOST_FIELD_ERRORS]
        )
        raise Invalid(errors=fields) from None


def _sent(event: Mapping[str, Any]) -> bytes:
    raw = event.get("body") or ""
    if len(raw) > LARGEST_BODY * (1.4 if event.get("isBase64Encoded") else 1):
        raise TooLarge
    try:
        return base64.b64decode(raw, validate=True) if event.get("isBase64Encoded") else raw.encode()
    except (ValueError, AttributeError):
        raise Invalid("The body cannot be read.") from None


def _body(event: Mapping[str, Any], form: bool) -> Any:
    data = _sent(event)
    sent_as = next(
        (str(v) for k, v in (event.get("headers") or {}).items() if k.lower() == "content-type"), ""
    )
    expected = "application/x-www-form-urlencoded" if form else "application/json"
    if sent_as.split(";")[0].strip().lower() != expected:
        raise UnsupportedMediaType(f"Send the body as {expected}.")
    if form:
        return _form(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Invalid("The body is not valid JSON.") from None


def _form(data: bytes) -> dict[str, Any]:
    """What a form says; a parameter that is repeated becomes a list, as in a query."""
    from urllib.parse import parse_qs

    try:
        several = parse_qs(data.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        raise Invalid("The body is not a valid form.") from None
    return {name: values[0] if len(values) == 1 else values for name, values in several.items()}


def _query(event: Mapping[str, Any]) -> dict[str, Any]:
    """Query parameters; one that is repeated becomes a list, which fields that take one value refuse."""
    several = event.get("multiValueQueryStringParameters") or {}
    if several:
        return {name: values[0] if len(values) == 1 else values for name, values in several.items()}
    return dict(event.get("queryStringParameters") or {})


def _problem(error: PortalError, status: int, request_id: str) -> Reply:
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": error.code().replace("_", " ").capitalize(),
        "status": status,
        "code": error.code(),
        "detail": error.detail,
        "request_id": request_id,
    }
    if error.errors:
        problem["errors"] = [{"field": each.field, "message": each.message} for each in error.errors]
    headers = {"Retry-After": str(error.retry_after_seconds)} if error.retry_after_seconds else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    return Reply(orjson.dumps(problem).decode(), status, headers, "application/problem+json")


def _response(
    reply: Reply, declaration: Declaration, event: Mapping[str, Any], request_id: str
) -> dict[str, Any]:
    body = reply.body
    if isinstance(body, BaseModel):
        body = body.model_dump_json(exclude_unset=True)
    status = reply.status or (declaration.status if body is not None else 204)
    headers = {
        "Cache-Control": "no-store",
        "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
        **_cors(event),
        **reply.headers,
    }
    if body is not None:
        headers["Content-Type"] = reply.content_type
    return {"statusCode": status, "headers": headers, "body": body or "", "isBase64Encoded": False}


def _cors(event: Mapping[str, Any]) -> dict[str, str]:
    origin = next((str(v) for k, v in (event.get("headers") or {}).items() if k.lower() == "origin"), "")
    if origin not in settings.cors_origins:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Vary": "Origin",
        "Access-Control-Expose-Headers": "X-Request-Id, Retry-After",
    }


def declared(handler: LambdaHandler) -> Declaration:
    """What an operation's handler declares of itself."""
    declaration: Declaration = handler.declaration  # type: ignore[attr-defined]
    return declaration


def fields(*errors: tuple[str, str]) -> Sequence[FieldError]:
    """Shorthand for the field errors of a rule: `fields(("email", "Already in use."))`."""
    return tuple(FieldError(*error) for error in errors)
