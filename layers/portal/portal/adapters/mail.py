"""SES: one mail, as text and HTML, with its attachments."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formataddr
from functools import cache
from mimetypes import guess_type
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, NoCredentialsError

from portal.settings import settings


class NotSent(Exception):
    """SES did not take the mail, for certain: sending it again sends it once. Any other error leaves that
    open.
    """


@dataclass(frozen=True, slots=True)
class File:
    name: str
    data: bytes


def send(to: str, subject: str, text: str, html: str, files: Sequence[File] = ()) -> str:
    """Send one mail; returns the id that SES gave it.

    Raises:
        NotSent: SES refused it or was not reached.
    """
    recipient = _ascii_domain(to)
    message = _composed(recipient, subject, text, html, files)
    try:
        answer = _client().send_email(
            FromEmailAddress=settings.mail_sender,
            Destination={"ToAddresses": [recipient]},
            Content={"Raw": {"Data": message.as_bytes()}},
        )
    except (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError) as error:
        raise NotSent(str(error)) from error
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
            raise NotSent(str(error)) from error
        raise
    message_id: str = answer["MessageId"]
    return message_id


def _composed(to: str, subject: str, text: str, html: str, files: Sequence[File]) -> EmailMessage:
    message = EmailMessage()
    message["From"] = formataddr((settings.vendor_name, settings.mail_sender))
    message["To"] = to
    message["Subject"] = " ".join(subject.split())
    # No out-of-office replies.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    for file in files:
        kind, _, subkind = (guess_type(file.name)[0] or "application/octet-stream").partition("/")
        message.add_attachment(file.data, maintype=kind, subtype=subkind, filename=file.name)
    return message


def _ascii_domain(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode()}"


@cache
def _client() -> Any:
    # One attempt: botocore would send again after an answer that was merely late, and the mail would go out
    # twice.
    once = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1})
    return boto3.client("sesv2", config=once)
