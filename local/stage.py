"""Where the portal is played without Lambda: functions are invoked as somebody, workers empty their queues.

It stands on whatever AWS the environment points to, and knows nothing of how that was made.
"""

import importlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from portal.adapters import aws
from portal.permissions import Permission
from portal.scope import Caller
from portal.settings import settings

ENGINE = Caller(kind="engine", permissions=frozenset({Permission.ENGINE_REPORT}))
_METHOD_ARN = "arn:aws:execute-api:eu-central-1:123456789012:api/live/GET/v1/me"


class Clock(Protocol):
    """A clock that can be set. Call it for the aware UTC instant."""

    def __call__(self) -> datetime: ...
    def set(self, to: datetime, /) -> Any: ...


class Context:
    """What the Lambda runtime hands to a handler."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    aws_request_id = "11111111-2222-3333-4444-555555555555"

    def __init__(self, milliseconds: int = 900_000) -> None:
        self.milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass(frozen=True)
class Answer:
    """An operation's answer as its client sees it."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """The error code of a problem."""
        if self.headers["Content-Type"] != "application/problem+json":
            raise AssertionError(f"This is no problem: {self.text}")
        code: str = self.json["code"]
        return code


@dataclass
class Stage:
    clock: Clock
    context: Context = field(default_factory=Context)
    within: Callable[[str, Caller], AbstractContextManager[Any]] = lambda operation, caller: nullcontext()
    """What watches over an operation's reading and writing while it runs for a caller."""
    acting: Callable[[str], AbstractContextManager[Any]] = lambda function: nullcontext()
    """What watches over what a function asks of AWS while it runs."""

    @property
    def now(self) -> datetime:
        return self.clock()

    @now.setter
    def now(self, at: datetime) -> None:
        self.clock.set(at)

    # Operations

    def call(
        self,
        operation: str,
        as_: Caller | None = None,
        *,
        body: Any = None,
        path: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        form: str | None = None,
        address: str = "198.51.100.7",
    ) -> Answer:
        """Invoke an operation such as `accounts.remove_account`; `body` goes as JSON, `form` form-encoded."""
        event = self._event(operation, body, path, query, headers, form, address)
        return self._answer(operation, event, as_)

    def request(
        self,
        operation: str,
        token: str = "",
        *,
        body: Any = None,
        path: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        form: str | None = None,
        address: str = "198.51.100.7",
    ) -> Answer:
        """A request as API Gateway lets it in: the authorizer says whose token it is, and the operation is told."""
        given = {"Authorization": f"Bearer {token}"} if token else {}
        event = self._event(operation, body, path, query, given | (headers or {}), form, address)
        return self.let_in(operation, event)

    def let_in(self, operation: str, event: dict[str, Any]) -> Answer:
        """The same of a whole event for which the authorizer was not asked yet."""
        if self.handler(operation).declaration.open_because:
            return self._answer(operation, event, None)
        asked = {**event, "type": "REQUEST", "methodArn": _METHOD_ARN}
        allowed = self.invoke("identity.authorize", asked)
        if allowed["policyDocument"]["Statement"][0]["Effect"] != "Allow":
            raise AssertionError(f"API Gateway itself would refuse {operation}")
        return self._answer(operation, event, Caller.from_context(allowed["context"]))

    def _event(
        self,
        operation: str,
        body: Any,
        path: dict[str, str] | None,
        query: dict[str, str] | None,
        headers: dict[str, str] | None,
        form: str | None,
        address: str,
    ) -> dict[str, Any]:
        raw = (
            form if form is not None else body if body is None or isinstance(body, str) else json.dumps(body)
        )
        content_type = "application/x-www-form-urlencoded" if form is not None else "application/json"
        return {
            "httpMethod": self.handler(operation).declaration.route.split(" ")[0],
            "path": "/",
            "headers": ({"content-type": content_type} if raw is not None else {}) | (headers or {}),
            "pathParameters": path,
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()}
            if query
            else None,
            "body": raw,
            "isBase64Encoded": False,
            "requestContext": {
                "requestId": "req-1",
                "identity": {"sourceIp": address, "userAgent": "Chrome"},
                "authorizer": {},
            },
        }

    def _answer(self, operation: str, event: dict[str, Any], as_: Caller | None) -> Answer:
        if as_ is not None:
            context = {"principalId": as_.user_id, **as_.to_context()}
            event = {**event, "requestContext": {**event["requestContext"], "authorizer": context}}
        with self.within(operation, as_) if as_ else nullcontext():
            answer = self.invoke(operation, event)
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    @staticmethod
    def handler(name: str) -> Any:
        """The Lambda handler of a function, e.g. `accounts.remove_account`."""
        return importlib.import_module(name).handler

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke a function with an event as it is."""
        handler = self.handler(function)
        with self.acting(function):
            return handler(event, self.context)

    def identify(self, access_token: str) -> Caller:
        """Who the authorizer takes the bearer of an access token for."""
        event = {
            "type": "REQUEST",
            "methodArn": _METHOD_ARN,
            "headers": {"authorization": f"Bearer {access_token}"},
            "requestContext": {"identity": {"sourceIp": "198.51.100.7"}},
        }
        return Caller.from_context(self.invoke("identity.authorize", event)["context"])

    def engine(self) -> Caller:
        """The backup engine."""
        return ENGINE

    def mail_to(self, address: str) -> list[str]:
        """The texts of all mail that was sent to an address, oldest first."""
        raise LookupError(f"Nobody reads the mail to {address} on this stage.")

    # Jobs, queues, stream

    def run(self, job: str, as_of: datetime | None = None) -> Any:
        """Run a job, e.g. `billing.run_overdue`, as its schedule would."""
        return self.invoke(job, {"as_of": as_of.isoformat()} if as_of else {})

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take all messages out of a queue."""
        client, url, taken = aws.client("sqs"), settings.queue_url(queue), []
        while got := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in got:
                taken.append(json.loads(message["Body"]))
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def work(self, worker: str, queue: str) -> int:
        """Let a worker empty its queue, what it sends itself included; returns how many messages it took."""
        taken = 0
        while messages := self.messages(queue):
            for message in messages:
                self.deliver(worker, message)
                taken += 1
        return taken

    def deliver(self, worker: str, message: dict[str, Any]) -> None:
        """Hand one message to a worker.

        Raises:
            AssertionError: the worker failed on it.
        """
        answer = self.invoke(worker, {"Records": [sqs_record(json.dumps(message))]})
        if answer != {"batchItemFailures": []}:
            raise AssertionError(f"{worker} failed on {message}")

    def stream(self, *consumers: str) -> None:
        """Hand everything that the table's stream holds since the last time to its consumers."""
        records = self._stream_records()
        for consumer in consumers or ("notifications.deliver_outbox", "dashboard.keep_rollups"):
            for first in range(0, len(records), 100):
                self.invoke(consumer, {"Records": records[first : first + 100]})

    _iterator: str | None = None

    def streams(self) -> Any:
        """The boto3 client of DynamoDB's streams."""
        return aws.client("dynamodbstreams")

    def _stream_records(self) -> list[dict[str, Any]]:
        streams = self.streams()
        if self._iterator is None:
            arn = streams.list_streams(TableName=settings.table_name)["Streams"][0]["StreamArn"]
            shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
            self._iterator = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
        records: list[dict[str, Any]] = []
        while True:
            got = streams.get_records(ShardIterator=self._iterator)
            self._iterator = got["NextShardIterator"]
            if not got["Records"]:
                return records
            records += got["Records"]


def sqs_record(body: str) -> dict[str, Any]:
    return {
        "messageId": "message-1",
        "receiptHandle": "handle",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "0",
            "SenderId": "sender",
            "ApproximateFirstReceiveTimestamp": "0",
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:queue",
        "awsRegion": "eu-central-1",
    }
