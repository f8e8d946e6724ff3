"""Periods, terms and anniversaries: half-open ranges of UTC dates, always computed from the original anchor.

A payment day (1-31) falls on the last day of shorter months and returns to itself in the next: 31 January is
followed by 28 February, 31 March, 30 April.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise, takewhile


@dataclass(frozen=True, slots=True)
class Period:
    """The days d with start <= d < end. Empty where start == end."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if isinstance(self.start, datetime) or isinstance(self.end, datetime):
            raise TypeError("A period is bounded by dates, not by instants.")
        if self.start > self.end:
            raise ValueError(f"A period cannot end on {self.end}, before its start on {self.start}.")

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def dates(self) -> Iterator[date]:
        return (self.start + timedelta(days=n) for n in range(self.days))


def payment_dates(payment_day: int, on: date) -> Iterator[date]:
    """Every payment date without end, first the last one that is not after `on`."""
    if not 1 <= payment_day <= 31:
        raise ValueError(f"A payment day is 1 to 31, not {payment_day}.")
    year, month = on.year, on.month
    if on < _clipped(year, month, payment_day):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    while True:
        yield _clipped(year, month, payment_day)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def periods_from(payment_day: int, on: date) -> Iterator[Period]:
    """Every monthly period without end, first the one that contains `on`. They abut."""
    return (Period(start, end) for start, end in pairwise(payment_dates(payment_day, on)))


def period_containing(payment_day: int, on: date) -> Period:
    return next(periods_from(payment_day, on))


def period_ending(payment_day: int, end: date) -> Period:
    """The period billed on the payment date `end`. Raises ValueError where `end` is no payment date."""
    period = period_containing(payment_day, end - timedelta(days=1))
    if period.end != end:
        raise ValueError(f"{end} is not a payment date of payment day {payment_day}.")
    return period


def periods_ending(payment_day: int, after: date, until: date) -> Iterator[Period]:
    """The periods with after < end <= until: what has become due since the run of `after`, oldest first."""
    return takewhile(lambda period: period.end <= until, periods_from(payment_day, after))


def next_payment_date(payment_day: int, after: date) -> date:
    """The first payment date later than `after`."""
    return period_containing(payment_day, after).end


def next_monthly_anniversary(anchor: date, after: date) -> date:
    """A monthly subscription's renewal date: the first date after `after` on which its month begins anew.

    `anchor` is the day it was subscribed; its own first month begins there, so that is never the answer.
    """
    return next_payment_date(anchor.day, max(anchor, after))


def nth_term(anchor: date, n: int) -> Period:
    """The n-th annual term (0 is the first) of a subscription that began on `anchor`."""
    if n < 0:
        raise ValueError(f"Terms count from 0, not {n}.")
    return Period(_anniversary(anchor, n), _anniversary(anchor, n + 1))


def term_containing(anchor: date, on: date) -> Period:
    """The annual term `on` falls in; it ends on the renewal date. Raises ValueError before the anchor."""
    if on < anchor:
        raise ValueError(f"{on} is before the first term, which began on {anchor}.")
    years = on.year - anchor.year
    return nth_term(anchor, years if on >= _anniversary(anchor, years) else years - 1)


def subscribed_days(period: Period, start: date, end: date | None) -> Period:
    """The part of `period` in which a subscription from `start` to `end` (None: no end) stood; maybe empty.

    The day of subscribing counts, the day of ending does not.
    """
    first = min(max(period.start, start), period.end)
    return Period(first, max(first, min(period.end, end or period.end)))


def _anniversary(anchor: date, years: int) -> date:
    return _clipped(anchor.year + years, anchor.month, anchor.day)


def _clipped(year: int, month: int, day: int) -> date:
    return date(year, month, day if day < 29 else min(day, _last_day(year, month)))


def _last_day(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31
