"""The portal as a test sees it: a stage with nothing on it, in whatever AWS stands in for AWS."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from email import message_from_string, policy
from functools import cache
from typing import Any

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from local.stage import ENGINE, Answer, Context, Stage
from portal import clock as portal_clock
from portal.adapters import aws, secrets
from portal.permissions import HELD_ON
from portal.scope import Caller
from portal.settings import QUEUES, settings
from portal.tree import VENDOR, Node
from tests.support.clock import FakeClock
from tests.support.iam import acting_as
from tests.support.secrets import Watch
from tests.support.table import create_table

__all__ = ["ENGINE", "OPERATOR", "Answer", "Context", "World", "administrator"]


def administrator(
    portal: Node, user_id: str = "usr_admin", email: str = "", home: Node | None = None
) -> Caller:
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


@dataclass
class World(Stage):
    clock: FakeClock
    acting: Callable[[str], AbstractContextManager[Any]] = acting_as
    """A function may ask of AWS what its role in the template allows, and nothing else."""
    watch: Watch = field(default_factory=Watch)
    """Nothing secret is logged or comes back in a refusal."""

    @classmethod
    @contextmanager
    def made(cls, clock: FakeClock) -> Iterator["World"]:
        """A world with nothing in it, in whatever AWS stands in for AWS."""
        secrets._secret.cache_clear()
        world = cls(clock)
        create_table(aws.client("dynamodb"), settings.table_name)
        aws.client("s3").create_bucket(
            Bucket=settings.bucket_name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        for queue in QUEUES:
            aws.client("sqs").create_queue(QueueName=settings.queue_url(queue).rpartition("/")[2])
        key_id = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
        aws.client("kms").create_alias(AliasName=settings.key_arn, TargetKeyId=key_id)
        provider_secrets = [each.secret_arn for each in settings.providers.values()]
        for secret in (settings.cursor_secret_arn, settings.engine_secret_arn, *provider_secrets):
            aws.client("secretsmanager").create_secret(Name=secret, SecretString=f"value of {secret}")
        aws.client("secretsmanager").create_secret(
            Name=settings.stripe_secret_arn,
            SecretString='{"api_key": "sk_test_portal", "webhook_secret": "whsec_test_portal"}',
        )
        aws.client("ses").verify_email_identity(EmailAddress=settings.mail_sender)
        with portal_clock.override(clock):
            yield world

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        self.watch.before(event)
        answer = super().invoke(function, event)
        self.watch.after(event, answer)
        return answer

    def advance(self, **by: float) -> None:
        """Let time pass: `advance(days=1, hours=2)`."""
        self.clock.advance(**by)

    def snapshot(self) -> str | None:
        """Where the stream was read to, for the harness to rewind."""
        return self._iterator

    def restore(self, state: str | None) -> None:
        self._iterator = state

    def mail_to(self, address: str) -> list[str]:
        texts = []
        for message in ses_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"].sent_messages:
            mail = message_from_string(message.raw_data, policy=policy.default)
            if mail["To"] == address:
                texts.append(mail.get_body(("plain",)).get_content())
        return texts

    def streams(self) -> Any:
        return _streams()


@cache
def _streams() -> Any:
    # botocore sends calls about one stream to an address that moto does not know; this one it does.
    address = f"https://streams.dynamodb.{boto3.Session().region_name}.amazonaws.com"
    return boto3.client("dynamodbstreams", endpoint_url=address)
