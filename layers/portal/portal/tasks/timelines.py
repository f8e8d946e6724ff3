"""An entity's timeline as it is stored, and as short as counting allows.

Stored: `[[occurred at, in epoch milliseconds, event id, status, licensed or null], ...]`.

Counts are taken at the end of UTC days, so only a day's last transition matters, and a timeline never has
more than one a day. Nor does it reach further back than days can be counted anew. So it stays short however
often the engine reports, and the order in which events arrive still makes no difference.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from portal.billing.usage import Timeline, Transition, insert, trim_timeline

RECOUNTED_DAYS = 62
"""How late an event may tell of something and still change the count of the day on which it occurred: two of
the longest periods. A later one counts from the first day that is still within."""
KEPT = timedelta(days=RECOUNTED_DAYS + 8)
"""Longer than days are recounted, so that none is ever counted from a timeline that begins too late for
it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def load(stored: Iterable[Any]) -> Timeline:
    return tuple(
        Transition(_EPOCH + at * _MILLISECOND, event_id, status, licensed)
        for at, event_id, status, licensed in stored
    )


def dump(timeline: Timeline) -> list[list[Any]]:
    """The inverse of `load`, for instants of whole milliseconds."""
    return [
        [(each.occurred_at - _EPOCH) // _MILLISECOND, each.event_id, each.status, each.licensed]
        for each in timeline
    ]


def told(timeline: Timeline, transition: Transition, *, now: datetime, unsettled_from_on: date) -> Timeline:
    """The timeline with one more transition, and without what no count needs any longer.

    Args:
        unsettled_from_on: the first day that is still to be counted, however long ago.
    """
    last_of_days = {each.occurred_at.date(): each for each in insert(timeline, transition)}
    horizon = min(now - KEPT, datetime.combine(unsettled_from_on, time(), UTC))
    return trim_timeline(tuple(last_of_days.values()), horizon)


def ended(timeline: Timeline, at: datetime | None) -> Timeline:
    """The timeline of an entity whose task was deleted `at`: it ends then. None: it was not."""
    if at is None or not timeline:
        return timeline
    before = (each for each in timeline if each.occurred_at < at)
    return (*before, Transition(at, "", "inactive", is_end=True))


def recounted_from(occurred_on: date, today: date) -> date:
    """The first day whose count an event changes that is said to have occurred on a day."""
    return max(occurred_on, today - timedelta(days=RECOUNTED_DAYS))
