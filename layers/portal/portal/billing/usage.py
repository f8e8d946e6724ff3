"""How many billable entities an account had on each UTC day, and how that stays correctable.

Two layers, both indifferent to the order and number of times in which the engine's events arrive:

- an entity's timeline: its transitions, by the time at which each is said to have occurred;
- a service's facts: the counts as they stood at each day's end, appended and never edited.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from operator import attrgetter
from types import MappingProxyType
from typing import Literal

from portal.money import round_half_up
from portal.periods import Period

Status = Literal["active", "inactive", "archived"]
Method = Literal["peak", "average", "last"]
Count = int | Decimal
"""A day's billable count: an int, or a Decimal where a price book weights a status by a part of one."""
Weights = Mapping[Status, Decimal]

DEFAULT_WEIGHTS: Weights = MappingProxyType(
    {"active": Decimal(1), "archived": Decimal(1), "inactive": Decimal(0)}
)
QUANTITY_PLACES = Decimal("0.0001")

_STATUS_ORDER: dict[Status, int] = {"active": 0, "inactive": 1, "archived": 2}


# Entity timelines


@dataclass(frozen=True, slots=True)
class Transition:
    """From `occurred_at` on the entity has this status. `licensed` is None where the engine does not say.

    With `is_end` nothing protects it any longer: it counts nothing, whatever its status weighs.
    """

    occurred_at: datetime
    event_id: str
    status: Status
    licensed: bool | None = None
    is_end: bool = False

    def __post_init__(self) -> None:
        if self.occurred_at.tzinfo is None:
            raise ValueError("occurred_at needs a time zone.")
        # One instant, one spelling: timelines are compared and stored as they are.
        object.__setattr__(self, "occurred_at", self.occurred_at.astimezone(UTC))


Timeline = tuple[Transition, ...]
"""Ordered by occurred_at, then event_id; each event at most once."""


@dataclass(frozen=True, slots=True)
class Entity:
    """What can be billed: a mailbox, a drive, a site, ..."""

    service: str
    kind: str
    timeline: Timeline


def insert(timeline: Timeline, transition: Transition) -> Timeline:
    """The timeline with the transition in its place: the same for every order and number of insertions.

    Should one event id come with two contents, the earlier in order stays, whichever came first.
    """
    kept = [transition]
    for known in timeline:
        if known.event_id != transition.event_id:
            kept.append(known)
        else:
            kept[0] = min(known, transition, key=_order)
    return tuple(sorted(kept, key=_order))


def state_at(timeline: Timeline, instant: datetime) -> Transition | None:
    """The transition in force at `instant`, one at that very instant included; None before the first."""
    return _before(timeline, bisect_right(timeline, instant, key=attrgetter("occurred_at")))


def state_at_end_of(timeline: Timeline, day: date) -> Transition | None:
    """The transition in force when the UTC day ends: midnight itself belongs to the next day."""
    return _before(timeline, bisect_left(timeline, _midnight_after(day), key=attrgetter("occurred_at")))


def trim_timeline(timeline: Timeline, horizon: datetime) -> Timeline:
    """Without what no longer matters to the state at `horizon` or later. More may be inserted afterwards.

    Days before `horizon` can no longer be counted from it.
    """
    first_after = bisect_right(timeline, horizon, key=attrgetter("occurred_at"))
    return timeline[max(first_after - 1, 0) :]


def weight_of(
    service: str, kind: str, status: Status, licensed: bool | None, weights: Weights = DEFAULT_WEIGHTS
) -> Decimal:
    """How much one entity counts. An unlicensed Exchange mailbox never does, whatever its status weighs."""
    if service == "microsoft_365_exchange" and kind == "mailbox" and licensed is False:
        return Decimal(0)
    return weights.get(status, DEFAULT_WEIGHTS[status])


def is_billable(
    service: str, kind: str, status: Status, licensed: bool | None, weights: Weights = DEFAULT_WEIGHTS
) -> bool:
    return weight_of(service, kind, status, licensed, weights) > 0


def counted_once(records: Sequence[Entity], weights: Weights = DEFAULT_WEIGHTS) -> Entity:
    """One entity of the records that several tasks have of it: at any time in the state that counts most."""
    first = records[0]
    if len(records) == 1:
        return first

    def weight(transition: Transition) -> Decimal:
        return _weight(first, transition, weights)

    instants = sorted({transition.occurred_at for record in records for transition in record.timeline})
    in_force = ((at, (state_at(record.timeline, at) for record in records)) for at in instants)
    timeline = tuple(
        replace(max(filter(None, states), key=weight), occurred_at=at) for at, states in in_force
    )
    return replace(first, timeline=timeline)


def daily_counts(
    entities: Iterable[Entity], days: Period, weights: Mapping[str, Weights] | None = None
) -> dict[str, list[Count]]:
    """Per service the billable count at the end of each of `days`, for every service that has an entity.

    `weights` gives the status weights of the services whose price book departs from the default. Each
    timeline is walked once, however many days there are.
    """
    if not days.days:
        return {entity.service: [] for entity in entities}
    # steps[service][n] is by how much day n's count differs from that of the day before.
    steps: dict[str, list[Decimal]] = {}
    for entity in entities:
        service_steps = steps.setdefault(entity.service, [Decimal(0)] * days.days)
        service_weights = (weights or {}).get(entity.service, DEFAULT_WEIGHTS)
        counted = Decimal(0)
        for transition in entity.timeline:
            day = transition.occurred_at.date()
            if day >= days.end:
                break
            weight = _weight(entity, transition, service_weights)
            service_steps[max(0, (day - days.start).days)] += weight - counted
            counted = weight
    return {service: [_count(total) for total in accumulate(changes)] for service, changes in steps.items()}


def _weight(entity: Entity, transition: Transition, weights: Weights) -> Decimal:
    if transition.is_end:
        return Decimal(0)
    return weight_of(entity.service, entity.kind, transition.status, transition.licensed, weights)


def _order(transition: Transition) -> tuple[datetime, str, int, int]:
    licensed = -1 if transition.licensed is None else int(transition.licensed)
    return transition.occurred_at, transition.event_id, _STATUS_ORDER[transition.status], licensed


def _before(timeline: Timeline, index: int) -> Transition | None:
    return timeline[index - 1] if index else None


def _midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def _count(total: Decimal) -> Count:
    return int(total) if total == int(total) else total


# Facts


@dataclass(frozen=True, slots=True)
class Fact:
    """A service's billable count as it stood at the end of the UTC day `day`.

    It holds for the following days too, until the next fact. Of several for one day the last recorded is in
    force; `recorded_at` is any increasing integer, such as epoch milliseconds.
    """

    day: date
    count: Count
    recorded_at: int


def counts_on(facts: Iterable[Fact], days: Period) -> list[Count]:
    """The count of each of `days`; 0 before the first fact."""
    in_force = _in_force(facts)
    current: Count = 0
    for day in sorted(in_force):
        if day >= days.start:
            break
        current = in_force[day]
    return [current := in_force.get(day, current) for day in days.dates()]


def quantity(facts: Iterable[Fact], days: Period, method: Method) -> Decimal:
    """What is billed for `days`: their highest, average or last count; 0 for no days.

    The average is exact until it is rounded half-up to four decimals, and it is that rounded figure which
    stands on the bill and is multiplied by the price: who holds the bill can work out every line of it.
    """
    counts = counts_on(facts, days)
    if not counts:
        return Decimal(0)
    if method == "peak":
        return Decimal(max(counts))
    if method == "last":
        return Decimal(counts[-1])
    total = sum((Fraction(count) for count in counts), start=Fraction(0)) / len(counts)
    scaled = round_half_up(total / Fraction(QUANTITY_PLACES))
    return _plain(scaled * QUANTITY_PLACES)


def new_facts(
    existing: Sequence[Fact], first_day: date, counts: Sequence[Count], recorded_at: int
) -> list[Fact]:
    """The facts to append so that the days from `first_day` on have these `counts`; none if nothing changed.

    Days before keep their counts. So do days after as far as the existing facts reach; past the last of them
    the new last count carries on, so a series should run to the last day that is known.
    """
    in_force = _in_force(existing)
    after = first_day + timedelta(days=len(counts))
    formerly = counts_on(existing, Period(first_day, after + timedelta(days=1)))
    stamp = max([recorded_at, *(fact.recorded_at + 1 for fact in existing)])
    facts = []
    current = counts_on(existing, Period(first_day - timedelta(days=1), first_day))[0]
    for offset, count in enumerate(counts):
        day = first_day + timedelta(days=offset)
        if in_force.get(day, current) != count:
            facts.append(Fact(day, count, stamp))
        current = count
    if after < max(in_force, default=after) and in_force.get(after, current) != formerly[-1]:
        facts.append(Fact(after, formerly[-1], stamp))
    return facts


def trim_facts(facts: Iterable[Fact], horizon: date) -> list[Fact]:
    """Without what no longer matters to the count of `horizon` or a later day; ordered by day."""
    ordered = sorted(facts, key=_recency)
    first_kept = bisect_left(ordered, horizon, key=attrgetter("day"))
    carried_in = first_kept > 0 and not (first_kept < len(ordered) and ordered[first_kept].day == horizon)
    return ordered[first_kept - carried_in :]


def _in_force(facts: Iterable[Fact]) -> dict[date, Count]:
    return {fact.day: fact.count for fact in sorted(facts, key=_recency)}


def _recency(fact: Fact) -> tuple[date, int, Count]:
    return fact.day, fact.recorded_at, fact.count


def _plain(number: Decimal) -> Decimal:
    """Without trailing zeros and without an exponent: 12.5000 as 12.5, 120 as 120."""
    return Decimal(int(number)) if number == int(number) else number.normalize()
