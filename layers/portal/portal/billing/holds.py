"""Holds: while something is wrong with a distributor's books nothing is added to them.

No bill of a distributor that is held is issued, no new charge begun, no reminder sent, until an operator has looked
at what was found and lets it go. What was let go does not hold it again, unless it changes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from portal import ids, keys
from portal.billing.reconciliation.records import Hold
from portal.billing.reconciliation.records import find_hold as find_hold  # noqa: PLC0414  who asks finds it here
from portal.billing.reconciliation.records import find_record as find_record  # noqa: PLC0414
from portal.billing.records import Overtaken
from portal.change import Change
from portal.errors import Conflict
from portal.operators.records import Parked
from portal.table import Put, Update, Write
from portal.telemetry import logger, metrics
from portal.tree import VENDOR, Node

BOOKS_WRONG = "books_wrong"
"""The reason on the operators' list."""

FoundText = Mapping[str, str]
"""`{"invariant", "about", "said", "key"}`: see `portal.billing.reconciliation.findings`."""


class Held(Conflict):
    detail = (
        "Something is wrong with this distributor's books: nothing is issued until an operator lets them go."
    )


def placed(
    hold: Hold | None, of: Node, found: Sequence[FoundText], at: datetime
) -> tuple[Parked, list[Write]]:
    """Hold a distributor that is not held, and what operators find on their list."""
    logger.error("books are wrong", extra={"distributor": str(of), "found": [dict(each) for each in found]})
    metrics.add_metric("BooksHeld", unit="Count", value=1)
    parked_id = ids.new("prk", at)
    parked = Parked(
        keys.node(VENDOR),
        keys.parked(parked_id),
        parked_id=parked_id,
        distributor_id=of.distributor,
        reasons=[BOOKS_WRONG],
        findings=[dict(each) for each in found],
        state="waiting",
        created_at=at,
    )
    if hold is None:
        new = Hold(keys.node(of), keys.HOLD, parked_id=parked_id, since=at, created_at=at)
        return parked, [Put(new, taken=Overtaken), Put(parked)]
    return parked, [Update(hold, Change(parked_id=parked_id, since=at)), Put(parked)]


def lifted(hold: Hold, parked: Parked, at: datetime) -> Write:
    """An operator has looked: what was found holds the distributor no longer."""
    known: list[str] = list(hold.released or ())
    found: Sequence[Mapping[str, Any]] = parked.findings or ()
    released = [*known, *(each["key"] for each in found if each["key"] not in known)]
    return Update(hold, Change(parked_id=None, since=None, lifted_at=at, released=released))
