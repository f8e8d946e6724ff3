"""How much an entity of each status counts, day by day.

A period is rated at the prices in effect on its first day, so its days are weighed by them too. What is
stored beside the facts is what they were weighed by, so that new prices with other weights show.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from portal.billing import prices
from portal.billing.rating import PriceBook
from portal.billing.usage import DEFAULT_WEIGHTS, Weights
from portal.distributors.records import get_distributor
from portal.periods import Period, periods_from
from portal.scope import Scope
from portal.tree import Node

Stored = list[list[Any]]
"""`[[first day, {service: {status: weight}}], ...]`: each holds until the next; services as usual are left
out."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """The weights of one distributor."""

    books: tuple[PriceBook, ...]
    payment_day: int

    def spans(self, days: Period) -> Iterator[tuple[Period, Mapping[str, Weights]]]:
        """The days in order, in stretches of the same weights by service."""
        start, weights = days.start, self._on_day(days.start)
        for period in periods_from(self.payment_day, days.start):
            if period.start >= days.end:
                break
            if (changed := self._on(period.start)) != weights and period.start > start:
                yield Period(start, period.start), weights
                start, weights = period.start, changed
        yield Period(start, days.end), weights

    def stored(self, days: Period) -> Stored | None:
        """These days' weights, to be kept with the facts; None where all are as usual."""
        spans = [[span.start.isoformat(), _unusual(weights)] for span, weights in self.spans(days)]
        return spans if any(weights for _, weights in spans) else None

    def first_difference(self, stored: Stored | None, days: Period) -> date | None:
        """The first of these days that was weighed otherwise."""
        before = stored or []
        if not before and self.stored(days) is None:
            return None
        differing = (day for day in days.dates() if _unusual(self._on_day(day)) != _stored_on(before, day))
        return next(differing, None)

    def _on_day(self, day: date) -> Mapping[str, Weights]:
        return self._on(next(periods_from(self.payment_day, day)).start)

    def _on(self, period_start: date) -> Mapping[str, Weights]:
        return prices.weights_by_service(self.books, period_start)


def load_weighing(scope: Scope, distributor: Node) -> Weighing:
    books = tuple(prices.books(scope, distributor))
    return Weighing(books, int(get_distributor(scope, distributor.distributor).payment_day))


def _unusual(weights: Mapping[str, Weights]) -> dict[str, dict[str, str]]:
    """Normal and comparable: only what differs from the usual weights, as text."""
    normal = {str(service): _differing(of_service) for service, of_service in weights.items()}
    return {service: differing for service, differing in normal.items() if differing}


def _differing(weights: Weights) -> dict[str, str]:
    return {
        status: str(weight.normalize())
        for status, weight in weights.items()
        if weight != DEFAULT_WEIGHTS[status]
    }


def _stored_on(stored: Stored, day: date) -> dict[str, dict[str, str]]:
    in_force: dict[str, dict[str, str]] = {}
    for first_day, weights in stored:
        if first_day > day.isoformat():
            break
        in_force = weights
    return in_force
