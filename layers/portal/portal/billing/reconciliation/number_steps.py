"""Going through the numbers of all distributors' bills: what was given out is on a bill."""

from collections.abc import Iterator

from portal.billing.reconciliation.findings import Finding, Findings
from portal.billing.reconciliation.records import find_numbered
from portal.billing.reconciliation.walk import AT_ONCE, Place, Walk
from portal.scope import EVERYTHING

_FIRST = 10_001
_RECENT = 2_000


def bill_numbers(walk: Walk, place: Place) -> Iterator[Place]:
    """The latest ones, or all."""
    last = walk.last_numbers["bills"]
    first = int(place.after) + 1 if place.after else _FIRST if walk.full else max(_FIRST, last - _RECENT)
    for start in range(first, last + 1, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, last + 1))
        walk.take(_given_out(numbers))
        yield Place(stage=place.stage, after=str(numbers[-1]))


def _given_out(numbers: range) -> Findings:
    found = find_numbered(EVERYTHING, numbers)
    for number in numbers:
        if number not in found or found[number].reference != str(number):
            yield Finding("B1", f"number {number}", "It was given out, and is no bill's.")
