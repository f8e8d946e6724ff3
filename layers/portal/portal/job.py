"""Schedules: a job selects what is due and sends one message per tenant to a queue.

Every job takes an explicit `as_of` for a re-run; without one it is as of now. Running it twice, at once, late or after
a crash changes nothing, because the workers decide from what is stored.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel

from portal import clock, keys
from portal.adapters import queues
from portal.table import Item, query_index
from portal.telemetry import logger, metrics, tracer

_MONTHS_LOOKED_BACK = 15
"""A job that was silent longer than this would not find what was due before."""

_Record = TypeVar("_Record", bound=Item)


class _Trigger(BaseModel, extra="ignore"):
    as_of: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job."""

    as_of: datetime

    def due(self, model: type[_Record], kind: str) -> Iterator[_Record]:
        """Everything of this kind that is due (`due <= as_of`), oldest first, however long the job was silent."""
        for partition in keys.due_partitions(kind, self.as_of, _MONTHS_LOOKED_BACK):
            yield from query_index(model, "by_due", partition, until=keys.due_until(self.as_of))

    def send(self, queue: str, bodies: Iterable[dict[str, Any]]) -> int:
        """Fan out: one message per tenant, with this run's `as_of`; returns how many."""
        as_of = self.as_of.isoformat()
        return queues.send(queue, ({**body, "as_of": as_of} for body in bodies))


def job(handler: Callable[[Run], int]) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """Make a Lambda handler of a function that returns how many messages it sent."""
    name = handler.__module__.rpartition(".")[2]

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    @tracer.capture_lambda_handler(capture_response=False)
    @wraps(handler)
    def lambda_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        trigger = _Trigger.model_validate(event or {})
        run = Run(trigger.as_of or clock.now())
        logger.append_keys(job=name, as_of=run.as_of.isoformat())
        sent = handler(run)
        logger.info("fanned out", extra={"messages": sent})
        metrics.add_dimension("job", name)
        metrics.add_metric("FannedOut", unit="Count", value=sent)
        return {"as_of": run.as_of.isoformat(), "messages": sent}

    return lambda_handler
