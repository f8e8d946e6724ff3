"""Faults, and the plan that says which call they strike."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import requests
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ReadTimeoutError

from .actions import Action, Key
from .errors import Crash, FaultMisused, refusal
from .network import Answer


@dataclass(slots=True)
class Call:
    """One call to AWS or over HTTP, as the harness saw it."""

    number: int
    """Counted from 1 since the harness started."""
    service: str
    """`dynamodb`, `s3`, `sqs`, ..., or `http`."""
    operation: str
    """`PutItem`, or the HTTP method."""
    parameters: Mapping[str, Any]
    """The call's own parameters, not copied; for HTTP `url` and `body`."""
    summary: str = ""
    keys: tuple[Key, ...] = ()
    actions: tuple[Action, ...] = field(default=(), repr=False)
    scope: str | None = None
    """The subtree the caller was confined to, None outside `within`."""
    error: str | None = None
    fault: "Fault | None" = None
    """What it was struck with."""

    @property
    def name(self) -> str:
        return f"{self.service}.{self.operation}"

    @property
    def writes(self) -> bool:
        """False for what certainly changes nothing."""
        if self.service == "http":
            return self.operation not in ("GET", "HEAD", "OPTIONS")
        return not self.operation.startswith(
            ("Get", "List", "Describe", "Head", "Query", "BatchGet", "TransactGet")
        )

    def is_like(self, other: "Call") -> bool:
        """Whether it is the same call made again; upload ids and the like differ every time, and keys that a call finds or
        changes in an index are not known of one that was struck before its effect.
        """
        known = min(len(self.keys), len(other.keys))
        return (
            self.name == other.name
            and self.keys[:known] == other.keys[:known]
            and (self.service != "http" or self.summary == other.summary)
        )

    def __str__(self) -> str:
        return f"{self.number} {self.name}: {self.summary}"


class Fault(Enum):
    CRASH_BEFORE = "the process dies before the effect"
    CRASH_AFTER = "the process dies after the effect"
    TIMEOUT_AFTER = "the effect happens, the answer is lost"
    TRANSACTION_CONFLICT = "another transaction holds an item"
    THROUGHPUT = "ProvisionedThroughputExceededException"
    THROTTLING = "ThrottlingException; over HTTP status 429"
    UNPROCESSED = "half of a batch is done, the rest handed back"
    STALE_READ = "the last calls' writes are not seen"

    def fits(self, call: Call) -> bool:
        """Whether this can happen to such a call."""
        match self:
            case Fault.TRANSACTION_CONFLICT:
                return call.service == "dynamodb" and call.operation in (
                    "TransactWriteItems",
                    "TransactGetItems",
                    "PutItem",
                    "UpdateItem",
                    "DeleteItem",
                )
            case Fault.THROUGHPUT:
                return call.service == "dynamodb"
            case Fault.UNPROCESSED:
                return call.name in _BATCHES
            case Fault.STALE_READ:
                return call.service == "dynamodb" and any(
                    action.kind in ("get", "query") and not action.parameters.get("ConsistentRead")
                    for action in call.actions
                    if call.operation != "TransactGetItems"
                )
        return True


_BATCHES = {
    "dynamodb.BatchWriteItem",
    "dynamodb.BatchGetItem",
    "sqs.SendMessageBatch",
    "sqs.DeleteMessageBatch",
}

Match = Callable[[Call], bool]


@dataclass
class Plan:
    """A fault armed for the `at`-th matching call and the `times - 1` after it (None: all after it)."""

    kind: Fault
    at: int
    match: Match | None = None
    times: int | None = 1
    window: int = 10
    """For stale reads: how many calls back writes are not seen."""
    seen: int = 0
    struck: int = 0

    def strikes(self, call: Call) -> bool:
        if self.match is not None and not self.match(call):
            return False
        self.seen += 1
        if self.seen < self.at or (self.times is not None and self.seen >= self.at + self.times):
            return False
        if not self.kind.fits(call):
            raise FaultMisused(f"{self.kind.name} cannot happen to call {call}")
        self.struck += 1
        return True


def strike(kind: Fault, call: Call, client: BaseClient, run: Callable[[Mapping[str, Any]], Any]) -> Any:
    """Do to a call to AWS what the fault says. `run(parameters)` has the effect and gives the answer."""
    match kind:
        case Fault.CRASH_BEFORE:
            raise Crash(f"before {call}")
        case Fault.CRASH_AFTER:
            _effect_only(run, call.parameters)
            raise Crash(f"after {call}")
        case Fault.TIMEOUT_AFTER:
            _effect_only(run, call.parameters)
            raise ReadTimeoutError(endpoint_url=client.meta.endpoint_url)
        case Fault.TRANSACTION_CONFLICT:
            raise _conflict(call, client)
        case Fault.THROUGHPUT:
            message = "The level of configured provisioned throughput for the table was exceeded."
            raise refusal(client, call.operation, message, "ProvisionedThroughputExceededException")
        case Fault.THROTTLING:
            raise refusal(client, call.operation, "Rate exceeded", "ThrottlingException")
        case Fault.UNPROCESSED:
            return _half(call, run)
    raise FaultMisused(f"{kind.name} is not done to a single call")


def strike_http(
    kind: Fault | None, call: Call, request: requests.PreparedRequest, fake: Callable[[Any], Answer]
) -> Answer:
    """Do to an HTTP call what the fault says; None lets the fake answer."""
    match kind:
        case Fault.CRASH_BEFORE:
            raise Crash(f"before {call}")
        case Fault.CRASH_AFTER:
            fake(request)
            raise Crash(f"after {call}")
        case Fault.TIMEOUT_AFTER:
            fake(request)
            raise requests.exceptions.ReadTimeout(f"no answer: {call}", request=request)
        case Fault.THROTTLING:
            return 429, {"Retry-After": "1"}, b""
    return fake(request)


def _effect_only(run: Callable[[Mapping[str, Any]], Any], parameters: Mapping[str, Any]) -> None:
    # A refusal is an outcome (no effect) like any other; the caller never learns.
    with suppress(ClientError):
        run(parameters)


def _conflict(call: Call, client: BaseClient) -> ClientError:
    if not call.operation.startswith("Transact"):
        return refusal(
            client, call.operation, "Transaction is ongoing for the item", "TransactionConflictException"
        )
    reasons = [{"Code": "None"} for _ in call.actions]
    reasons[0] = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    codes = ", ".join(reason["Code"] for reason in reasons)
    return refusal(
        client,
        call.operation,
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        "TransactionCanceledException",
        CancellationReasons=reasons,
    )


def _half(call: Call, run: Callable[[Mapping[str, Any]], Any]) -> Any:
    """Do the first half of a batch (of a batch of one: nothing), hand the rest back as the service would."""
    if call.service == "sqs":
        entries = call.parameters["Entries"]
        done, left = entries[: len(entries) // 2], entries[len(entries) // 2 :]
        answer = run({**call.parameters, "Entries": done}) if done else {}
        failed = [
            {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError", "Message": "try again"}
            for entry in left
        ]
        return {**answer, "Failed": answer.get("Failed", []) + failed}
    requests = call.parameters["RequestItems"]
    if call.operation == "BatchWriteItem":
        done, left = _split(requests)
        answer = run({**call.parameters, "RequestItems": done}) if done else {}
        return {**answer, "UnprocessedItems": left}
    done, left = _split({table: request["Keys"] for table, request in requests.items()})
    wanted = {table: {**requests[table], "Keys": keys} for table, keys in done.items()}
    answer = run({**call.parameters, "RequestItems": wanted}) if done else {"Responses": {}}
    return {
        **answer,
        "UnprocessedKeys": {table: {**requests[table], "Keys": keys} for table, keys in left.items()},
    }


def _split(lists: Mapping[str, list[Any]]) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The first half of all entries, and the rest, still by table."""
    first, rest = {}, {}
    room = sum(map(len, lists.values())) // 2
    for name, entries in lists.items():
        if entries[:room]:
            first[name] = entries[:room]
        if entries[room:]:
            rest[name] = entries[room:]
        room = max(0, room - len(entries))
    return first, rest


def unwinding() -> bool:
    """Whether this thread is on its way out of a Crash: a dead process makes no calls from `finally` and
    `__exit__`.
    """
    return any(isinstance(error, Crash) for error in _chain(sys.exc_info()[1]))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__
