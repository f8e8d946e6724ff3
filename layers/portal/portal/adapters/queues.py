"""SQS: messages to the template's queues."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import orjson

from portal.adapters import aws
from portal.settings import settings

_BATCH = 10


def send(queue: str, bodies: Iterable[dict[str, Any]], *, delay_seconds: int = 0) -> int:
    """Send messages to a queue by its logical id; returns how many.

    Raises:
        RuntimeError: the queue did not take some of them. Whoever sends again sends some twice, which workers bear.
    """
    remaining, sent = iter(bodies), 0
    while batch := list(islice(remaining, _BATCH)):
        answer = aws.client("sqs").send_message_batch(
            QueueUrl=settings.queue_url(queue),
            Entries=[
                {"Id": str(number), "MessageBody": orjson.dumps(body).decode(), "DelaySeconds": delay_seconds}
                for number, body in enumerate(batch)
            ],
        )
        if answer.get("Failed"):
            raise RuntimeError(f"{queue} did not take {len(answer['Failed'])} of {len(batch)} messages")
        sent += len(batch)
    return sent
