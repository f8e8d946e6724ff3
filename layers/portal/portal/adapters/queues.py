"""SQS: messages to the template's queues."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from portal.adapters import aws
from portal.settings import settings

_BATCH = 10
_LARGEST_BATCH = 250_000
"""Bytes."""


def send(queue: str, bodies: Iterable[dict[str, Any]], *, delay_seconds: int = 0) -> int:
    """Send messages to a queue by its logical id; returns how many.

    Raises:
        RuntimeError: the queue did not take some of them. Whoever sends again sends some twice, which workers bear.
    """
    sent = 0
    for batch in _batches(orjson.dumps(body).decode() for body in bodies):
        answer = aws.client("sqs").send_message_batch(
            QueueUrl=settings.queue_url(queue),
            Entries=[
                {"Id": str(number), "MessageBody": text, "DelaySeconds": delay_seconds}
                for number, text in enumerate(batch)
            ],
        )
        if answer.get("Failed"):
            raise RuntimeError(f"{queue} did not take {len(answer['Failed'])} of {len(batch)} messages")
        sent += len(batch)
    return sent


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """As many messages at once as SQS takes, by their number and by their size together."""
    batch: list[str] = []
    size = 0
    for text in texts:
        grown = size + len(text.encode())
        if batch and (len(batch) == _BATCH or grown > _LARGEST_BATCH):
            yield batch
            batch, grown = [], len(text.encode())
        batch, size = [*batch, text], grown
    if batch:
        yield batch
