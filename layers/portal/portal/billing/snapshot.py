"""The usage snapshot: an account's daily counts, folded from its entities' timelines into facts.

Reading a large account takes longer than the engine is silent, so a snapshot does not demand that nothing
changes meanwhile. Every event marks the days it touches in its own transaction. A snapshot that was disturbed
records what it counted and leaves the mark, so the next one counts those days again; one that was overtaken
by another snapshot records nothing and starts anew, because what it read may be older.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING

from portal.accounts.records import find_renewal
from portal.billing import facts
from portal.billing.records import Usage, find_usage, list_bills, list_unsettled_usages
from portal.billing.usage import (
    DEFAULT_WEIGHTS,
    Count,
    Entity,
    Fact,
    Weights,
    counted_once,
    daily_counts,
    new_facts,
    trim_facts,
)
from portal.billing.weighing import Weighing, load_weighing
from portal.change import Change
from portal.distributors.records import get_schedule
from portal.periods import Period
from portal.scope import EVERYTHING
from portal.table import Contended, Update, settled, stage, write
from portal.tasks import records, timelines
from portal.tasks.records import list_entities_ever, list_tasks_ever
from portal.tasks.tidying import tidy
from portal.telemetry import logger, metrics
from portal.tree import Node

if TYPE_CHECKING:
    from portal.consumer import Work

_KEPT = timedelta(days=130)
"""Facts of the last days are kept even when they are billed: forecasts look 90 days back."""
_UNTRIMMED = 400
"""Up to so many facts nothing is trimmed: they take a twentieth of what an item may hold."""
_UNTHINNED = 2_000
"""Up to so many, superseded facts are kept to show how a count was corrected."""
_LONGEST_PERIOD = timedelta(days=31)


class NotAllSettled(Exception):
    """Accounts could not be settled: the others were, and these are still marked."""


@dataclass(frozen=True, slots=True)
class Went:
    """How it went with a distributor's accounts: the id of the account it came to when time ran short (None: all
    were looked at), and of those that failed."""

    reached: str | None
    failed: list[str]

    def check(self) -> None:
        """Raises NotAllSettled where an account failed."""
        if self.failed:
            raise NotAllSettled(", ".join(self.failed))


class _Overtaken(Exception):
    """Another snapshot was recorded since this one began to read."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a snapshot read: the counts of each of its days by service, and whether anything has happened
    since them."""

    days: Period
    counts: dict[str, list[Count]]
    more_follows: bool


def settle_usage(
    account: Node, until_on: date, now: datetime, weighing: Weighing | None = None
) -> Usage | None:
    """Make the facts of all days before `until_on` tell what every event taken in so far has told.

    Settling again changes nothing. None where the account has no usage (any longer).

    Args:
        weighing: the distributor's, for whoever settles many accounts; else it is loaded.

    Raises:
        Conflict: other snapshots of the same account came between, again and again.
    """
    return settled(lambda: _settle(account, until_on, now, weighing, close=False))


def is_settled(usage: Usage, until_on: date, now: datetime, weighing: Weighing) -> bool:
    """Whether `settle_usage` would change nothing, by usage that was read consistently."""
    return usage.closed or usage.entities_from_on is None or not _first_day(usage, until_on, now, weighing)


def close_usage(account: Node, until_on: date, now: datetime) -> None:
    """Settle for the last time, before the account's entities are deleted: its facts are final then."""
    settled(lambda: _settle(account, until_on, now, None, close=True))


def settle_distributor(work: "Work", distributor: Node, as_of: datetime, after: str) -> Went:
    """Settle those of a distributor's accounts that need it, behind account id `after`.

    An account that cannot be settled is logged and keeps its mark; the others are settled all the same.
    """
    until_on, reached = as_of.astimezone(UTC).date(), after
    failed: list[str] = []
    weighing = load_weighing(EVERYTHING, distributor)
    for listed in list_unsettled_usages(EVERYTHING, distributor):
        account = listed.node
        if account.account <= after:
            continue
        if work.time_is_short:
            return Went(reached, failed)
        try:
            if listed.unsettled_from_on is not None and listed.unsettled_from_on < until_on:
                settle_usage(account, until_on, work.now, weighing)
            if listed.tidy_on is not None and listed.tidy_on <= until_on and not tidy(work, account):
                return Went(reached, failed)
        except Exception:
            logger.exception("an account's usage was not settled", account=str(account))
            metrics.add_metric("AccountNotSettled", unit="Count", value=1)
            failed.append(account.account)
        reached = account.account
    return Went(None, failed)


def schedule_next(work: "Work", distributor: Node, as_of: datetime) -> None:
    """Have the next snapshot taken at the next midnight after `as_of`; never earlier than it is due
    already."""
    midnight = datetime.combine(as_of.astimezone(UTC).date() + timedelta(days=1), time(), UTC)

    def attempt() -> None:
        schedule = get_schedule(EVERYTHING, distributor, "usage")
        if schedule.due_at < midnight:
            work.commit(Update(schedule, Change(due_at=midnight)))

    settled(attempt)


def _settle(
    account: Node, until_on: date, now: datetime, given: Weighing | None, *, close: bool
) -> Usage | None:
    usage = find_usage(EVERYTHING, account)
    if usage is None or usage.closed or usage.entities_from_on is None:
        return usage
    weighing = given or load_weighing(EVERYTHING, account.distributor_node)
    from_on = _first_day(usage, until_on, now, weighing)
    if from_on is None and not close:
        return usage
    counted = _count(account, Period(from_on or until_on, until_on), weighing)
    try:
        return settled(lambda: _record(account, usage, counted, now, weighing, close=close))
    except _Overtaken:
        raise Contended from None


def _first_day(usage: Usage, until_on: date, now: datetime, weighing: Weighing) -> date | None:
    """The first day before `until_on` whose count may no longer be true."""
    reweighed_from_on = weighing.first_difference(usage.weighed_by, _recountable(usage, until_on, now))
    candidates = (usage.unsettled_from_on, reweighed_from_on)
    return min((day for day in candidates if day is not None and day < until_on), default=None)


def _recountable(usage: Usage, until_on: date, now: datetime) -> Period:
    """The days before `until_on` that the timelines can surely still tell the count of."""
    return Period(min(timelines.recounted_from(usage.entities_from_on, now.date()), until_on), until_on)


def _count(account: Node, days: Period, weighing: Weighing) -> _Counted:
    tasks = list(list_tasks_ever(EVERYTHING, account))
    ended_at = {task.task_id: task.deleted_at for task in tasks}
    more_follows = False

    def as_recorded(record: records.Entity) -> Entity:
        nonlocal more_follows
        timeline = timelines.ended(timelines.load(record.timeline), ended_at.get(record.task_id))
        more_follows |= bool(timeline) and timeline[-1].occurred_at.date() >= days.end
        return Entity(record.service, record.entity_kind, timeline)

    def entities(weights: Mapping[str, Weights]) -> Iterator[Entity]:
        for found in _by_entity(account, tasks):
            of_service = weights.get(found[0].service, DEFAULT_WEIGHTS)
            yield counted_once([as_recorded(record) for record in found], of_service)

    counts: dict[str, list[Count]] = {}
    for span, weights in weighing.spans(days):
        for service, of_span in daily_counts(entities(weights), span, weights).items():
            before: list[Count] = [0] * (span.start - days.start).days
            counts.setdefault(service, before).extend(of_span)
    return _Counted(days, counts, more_follows)


def _by_entity(account: Node, tasks: Iterable[records.Task]) -> Iterator[list[records.Entity]]:
    """The records of each entity, one from each task that protects or has protected it.

    A task's entities come in the order of their ids, so tasks of one service are read side by side.
    """
    by_service: dict[str, list[str]] = {}
    for task in tasks:
        by_service.setdefault(task.service, []).append(task.task_id)
    if all(len(task_ids) == 1 for task_ids in by_service.values()):
        yield from ([record] for record in list_entities_ever(EVERYTHING, account))
        return
    for task_ids in by_service.values():
        side_by_side = merge(
            *(records.list_entities(EVERYTHING, account, task_id) for task_id in task_ids), key=_identity
        )
        yield from (list(found) for _, found in groupby(side_by_side, key=_identity))


def _identity(record: records.Entity) -> tuple[str, str]:
    return record.entity_id, record.entity_kind


def _record(
    account: Node, read: Usage, counted: _Counted, now: datetime, weighing: Weighing, *, close: bool
) -> Usage | None:
    usage = find_usage(EVERYTHING, account)
    if usage is None:
        return None
    disturbed = usage.version != read.version
    if usage.snapshots != read.snapshots or (close and disturbed):
        raise _Overtaken
    known = facts.load(usage.facts)
    recorded_at = int(now.timestamp() * 1000)
    for service in sorted({*known, *counted.counts}):
        counts = counted.counts.get(service, [0] * counted.days.days)
        of_service = known.setdefault(service, [])
        of_service += new_facts(of_service, counted.days.start, counts, recorded_at)
    change = Change(
        facts=facts.dump(_trimmed(account, known, now)),
        snapshots=usage.snapshots + 1,
        weighed_by=weighing.stored(_recountable(usage, counted.days.end, now)),
        closed=close,
    )
    if not disturbed:
        change |= Change(unsettled_from_on=None if close else _still_unsettled_from(counted, known))
    write([stage(Update(usage, change))])
    return usage


def _still_unsettled_from(counted: _Counted, known: dict[str, list[Fact]]) -> date | None:
    """The day after the counted ones, unless nothing is known of it or later."""
    end = counted.days.end
    counted_beyond = any(fact.day >= end for of_service in known.values() for fact in of_service)
    return end if counted.more_follows or counted_beyond else None


def _trimmed(account: Node, known: dict[str, list[Fact]], now: datetime) -> dict[str, list[Fact]]:
    """Without what neither a bill to come nor a forecast needs, once there is much of it."""
    if sum(map(len, known.values())) <= _UNTRIMMED:
        return known
    horizon = min(now.date() - _KEPT, _unbilled_from_on(account))
    trimmed = {service: trim_facts(of_service, horizon) for service, of_service in known.items()}
    if sum(map(len, trimmed.values())) <= _UNTHINNED:
        return trimmed
    in_force = {service: {fact.day: fact for fact in of_service} for service, of_service in trimmed.items()}
    return {service: list(by_day.values()) for service, by_day in in_force.items()}


def _unbilled_from_on(account: Node) -> date:
    """No bill to come looks at an earlier day: neither the next periods' or terms', nor one that is not
    issued yet."""
    distributor = account.distributor_node
    days = [get_schedule(EVERYTHING, distributor, "monthly").due_at.date() - _LONGEST_PERIOD]
    renewal = find_renewal(EVERYTHING, account)
    if renewal and renewal.due_at:
        days.append(renewal.due_at.date() - timedelta(days=1))
    unissued = (bill for bill in list_bills(EVERYTHING, distributor) if bill.state in ("draft", "parked"))
    days.extend(bill.period_start_on - timedelta(days=1) for bill in unissued)
    return min(days)
