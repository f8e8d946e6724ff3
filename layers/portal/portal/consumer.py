"""Queues and streams: each record by itself; what fails is tried again and in the end lands in the dead-letter queue.

A worker that runs short of time hands the rest to a new message (`work.again`), so no message is too large.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any

import orjson
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from pydantic import BaseModel

from portal import clock
from portal.adapters import queues
from portal.journal import Entry, Message, written
from portal.scope import SYSTEM
from portal.table import Item, Write, stage, write
from portal.telemetry import logger, metrics, tracer

_TIME_TO_STOP_MILLISECONDS = 30_000
"""What is left of the function's time when a worker hands over: enough for the step it is in and the new message."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker may use while it works on one message."""

    now: datetime
    context: Any

    @property
    def time_is_short(self) -> bool:
        left: int = self.context.get_remaining_time_in_millis()
        return left < _TIME_TO_STOP_MILLISECONDS

    def commit(self, *writes: Write, audit: Iterable[Entry] = (), send: Iterable[Message] = ()) -> None:
        """Write one transaction at once: changes, audit entries and messages.

        Raises:
            Contended: as `table.write`; wrap load and commit in `table.settled`.
        """
        write([*(stage(each) for each in writes), *written(audit, send, by=SYSTEM, at=self.now)])

    def again(self, queue: str, message: BaseModel) -> None:
        """Go on in a new invocation."""
        queues.send(queue, [message.model_dump(mode="json")])


LambdaHandler = Callable[[Mapping[str, Any], Any], Any]


def consumer(handler: Callable[[Work, Any], None]) -> LambdaHandler:
    """Make a Lambda handler for an SQS queue of a function of (work, message).

    The second parameter's annotation is the pydantic model of a message.
    """
    model: type[BaseModel] = handler.__annotations__["message"]
    name = handler.__module__.rpartition(".")[2]
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    @tracer.capture_lambda_handler(capture_response=False)
    @wraps(handler)
    def lambda_handler(event: Mapping[str, Any], context: Any) -> Any:
        metrics.add_dimension("worker", name)
        metrics.add_metric("Messages", unit="Count", value=len(event.get("Records") or []))
        if not event.get("Records"):
            return {"batchItemFailures": []}
        work = Work(clock.now(), context)

        def one(record: Any) -> None:
            logger.append_keys(worker=name, message_id=record.message_id)
            try:
                handler(work, model.model_validate(orjson.loads(record.body)))
            except Exception:
                logger.exception("a message failed")
                metrics.add_metric("MessageFailed", unit="Count", value=1)
                raise

        return process_partial_response(dict(event), one, processor, context)

    return lambda_handler


@dataclass(frozen=True, slots=True)
class Changed:
    """One change of the table as its stream tells it. `before` is None for a new item, `after` for a deleted one."""

    before: Item | None
    after: Item | None


def stream_consumer(
    *models: type[Item],
) -> Callable[[Callable[[Work, Sequence[Changed]], None]], LambdaHandler]:
    """Make a Lambda handler for the table's stream of a function of (work, changes).

    It gets the changes of records of these models, a whole batch at a time and in the stream's order; if it raises, the
    stream delivers the batch again.
    """
    kinds = {model.kind.get_discriminator(model): model for model in models}

    def decorate(handler: Callable[[Work, Sequence[Changed]], None]) -> LambdaHandler:
        name = handler.__module__.rpartition(".")[2]

        @logger.inject_lambda_context(clear_state=True)
        @metrics.log_metrics
        @tracer.capture_lambda_handler(capture_response=False)
        @wraps(handler)
        def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
            metrics.add_dimension("worker", name)
            changes = []
            for record in event.get("Records") or []:
                images = record.get("dynamodb") or {}
                before, after = (_record(images.get(image), kinds) for image in ("OldImage", "NewImage"))
                if before is not None or after is not None:
                    changes.append(Changed(before, after))
            metrics.add_metric("Changes", unit="Count", value=len(changes))
            handler(Work(clock.now(), context), changes)
            return {"batchItemFailures": []}

        return lambda_handler

    return decorate


def _record(image: Mapping[str, Any] | None, kinds: Mapping[str | None, type[Item]]) -> Item | None:
    if not image:
        return None
    model = kinds.get(image.get("kind", {}).get("S"))
    return model.from_raw_data(dict(image)) if model else None
