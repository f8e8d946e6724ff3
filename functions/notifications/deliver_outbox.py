"""Stream: outbox messages

Hands each message that was written beside a change to its queue, at least once. When a queue does not take
it the stream delivers the batch again, so some arrive twice, which whoever reads the queues bears.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from portal.adapters import queues
from portal.consumer import Changed, Work, stream_consumer
from portal.journal import OutboxMessage


@stream_consumer(OutboxMessage)
def handler(work: Work, changes: Sequence[Changed]) -> None:
    bodies: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for change in changes:
        if change.before is None and isinstance(change.after, OutboxMessage):
            bodies[change.after.queue].append(change.after.body)
    for queue, messages in bodies.items():
        queues.send(queue, messages)
