"""The portal as a test sees it: handlers are invoked as somebody, jobs are run, queues are emptied by their workers."""

import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_string, policy
from typing import Any

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from portal import clock as portal_clock
from portal.adapters import aws, secrets
from portal.permissions import HELD_ON, Permission
from portal.scope import Caller
from portal.settings import QUEUES, settings
from portal.table import Item
from portal.tree import VENDOR, Node
from tests.support.clock import FakeClock
from tests.support.table import create_table


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
        assert self.headers["Content-Type"] == "application/problem+json", self.text
        code: str = self.json["code"]
        return code


def administrator(portal: Node, user_id: str = "usr_admin", email: str = "", home: Node | None = None) -> Caller:
    """An administrator of a portal (who came from `home`, when it entered the portal from above)."""
    return Caller(
        kind="user",
        user_id=user_id,
        email=email or f"admin@{portal.path[-1].replace('_', '-') if portal.path else 'vendor'}.example.com",
        name="Administrator",
        home=home or portal,
        portal=portal,
        session_id="ses_test",
        permissions=HELD_ON[portal.tier],
    )


OPERATOR = administrator(VENDOR, "usr_operator", "operator@example.com")
ENGINE = Caller(kind="engine", permissions=frozenset({Permission.ENGINE_REPORT}))


@dataclass
class World:
    clock: FakeClock
    context: Context = field(default_factory=Context)
    within: Callable[[str, Caller], AbstractContextManager[Any]] = lambda operation, caller: nullcontext()
    """What watches over an operation's reading and writing while it runs for a caller."""

    @property
    def now(self) -> datetime:
        return self.clock()

    @now.setter
    def now(self, at: datetime) -> None:
        self.clock.set(at)

    @classmethod
    @contextmanager
    def made(cls, clock: FakeClock) -> Iterator["World"]:
        """A world with nothing in it, in whatever AWS stands in for AWS."""
        aws.client.cache_clear()
        secrets._secret.cache_clear()
        Item._connection = None
        world = cls(clock)
        create_table(boto3.client("dynamodb"), settings.table_name)
        boto3.client("s3").create_bucket(
            Bucket=settings.bucket_name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        for queue in QUEUES:
            boto3.client("sqs").create_queue(QueueName=settings.queue_url(queue).rpartition("/")[2])
        for secret in (settings.cursor_secret_arn, settings.engine_secret_arn):
            boto3.client("secretsmanager").create_secret(Name=secret, SecretString=f"value of {secret}")
        boto3.client("ses").verify_email_identity(EmailAddress=settings.mail_sender)
        with portal_clock.override(clock):
            yield world

    def advance(self, **by: float) -> None:
        """Let time pass: `advance(days=1, hours=2)`."""
        self.clock.advance(**by)

    def snapshot(self) -> str | None:
        """Where the stream was read to, for the harness to rewind."""
        return self._iterator

    def restore(self, state: str | None) -> None:
        self._iterator = state

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
        raw = form if form is not None else body if isinstance(body, str) else None if body is None else json.dumps(body)
        content_type = "application/x-www-form-urlencoded" if form is not None else "application/json"
        given = ({"content-type": content_type} if raw is not None else {}) | (headers or {})
        handler = self.handler(operation)
        event = {
            "httpMethod": handler.declaration.route.split(" ")[0],
            "path": "/",
            "headers": given,
            "pathParameters": path,
            "queryStringParameters": query,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
            "body": raw,
            "isBase64Encoded": False,
            "requestContext": {
                "requestId": "req-1",
                "identity": {"sourceIp": address, "userAgent": "Chrome"},
                "authorizer": {"principalId": as_.user_id, **as_.to_context()} if as_ else {},
            },
        }
        with self.within(operation, as_) if as_ else nullcontext():
            answer = handler(event, self.context)
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    @staticmethod
    def handler(name: str) -> Any:
        """The Lambda handler of a function, e.g. `accounts.remove_account`."""
        return importlib.import_module(name).handler

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Invoke a function with an event as it is."""
        return self.handler(function)(event, self.context)

    def identify(self, access_token: str) -> Caller:
        """Who the authorizer takes the bearer of an access token for."""
        event = {
            "type": "REQUEST",
            "methodArn": "arn:aws:execute-api:eu-central-1:123456789012:api/live/GET/v1/me",
            "headers": {"authorization": f"Bearer {access_token}"},
            "requestContext": {"identity": {"sourceIp": "198.51.100.7"}},
        }
        return Caller.from_context(self.invoke("identity.authorize", event)["context"])

    def engine(self) -> Caller:
        """The backup engine."""
        return ENGINE

    def mail_to(self, address: str) -> list[str]:
        """The texts of all mail that was sent to an address, oldest first."""
        texts = []
        for message in ses_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"].sent_messages:
            mail = message_from_string(message.raw_data, policy=policy.default)
            if mail["To"] == address:
                texts.append(mail.get_body(("plain",)).get_content())
        return texts

    def run(self, job: str, as_of: datetime | None = None) -> Any:
        """Run a job, e.g. `billing.run_overdue`, as its schedule would."""
        return self.handler(job)({"as_of": as_of.isoformat()} if as_of else {}, self.context)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Take all messages out of a queue."""
        client, url, taken = boto3.client("sqs"), settings.queue_url(queue), []
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
        """Hand one message to a worker; a failed one fails the test."""
        event = {"Records": [_sqs_record(json.dumps(message))]}
        answer = self.handler(worker)(event, self.context)
        assert answer == {"batchItemFailures": []}, f"{worker} failed on {message}"

    def stream(self, *consumers: str) -> None:
        """Hand everything that the table's stream holds since the last time to its consumers."""
        records = self._stream_records()
        for consumer in consumers or ("notifications.deliver_outbox", "dashboard.keep_rollups"):
            for first in range(0, len(records), 100):
                self.handler(consumer)({"Records": records[first : first + 100]}, self.context)

    _iterator: str | None = None

    def _stream_records(self) -> list[dict[str, Any]]:
        # botocore sends calls about one stream to an address that moto does not know; this one it does.
        address = f"https://streams.dynamodb.{boto3.Session().region_name}.amazonaws.com"
        streams = boto3.client("dynamodbstreams", endpoint_url=address)
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


def _sqs_record(body: str) -> dict[str, Any]:
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


