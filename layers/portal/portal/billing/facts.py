"""A usage's facts as they are stored: `{service: [[day, count, recorded_at], ...]}`.

A count is a whole number, or text where a price book weights a status by a part of one: `"12.5"`.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from portal.billing.usage import Count, Fact


def load(stored: Mapping[str, Iterable[Any]]) -> dict[str, list[Fact]]:
    """The facts of each service, as rating and forecast take them."""
    return {
        service: [
            Fact(date.fromisoformat(day), _count(count), recorded_at) for day, count, recorded_at in rows
        ]
        for service, rows in stored.items()
    }


def dump(facts: Mapping[str, Iterable[Fact]]) -> dict[str, list[list[str | int]]]:
    """The inverse of `load`."""
    return {
        service: [[fact.day.isoformat(), _stored(fact.count), fact.recorded_at] for fact in of_service]
        for service, of_service in facts.items()
    }


def _count(stored: int | str) -> Count:
    return stored if isinstance(stored, int) else Decimal(stored)


def _stored(count: Count) -> int | str:
    return count if isinstance(count, int) else str(count)
