"""What parks a bill for an operator instead of charging it."""

from collections.abc import Sequence
from typing import Literal

from portal.billing.rating import Line
from portal.money import Money

ParkReason = Literal["far_above_recent_bills", "negative_line", "duplicate_line", "too_many_periods"]

MOST_TIMES_THE_MEDIAN = 10
MOST_PERIODS_TO_CATCH_UP = 2
MOST_RECENT = 3
"""How many earlier bills a bill is compared with."""


def reasons_to_park(
    lines: Sequence[Line], gross: Money, earlier: Sequence[Money], periods_due: int
) -> tuple[ParkReason, ...]:
    """Every reason not to issue this bill by itself; none for a sound one.

    `gross` is what it comes to, `earlier` are the distributor's bills of the same method, oldest first, and
    `periods_due` counts the periods this run would bill. Bills in another currency are not compared.
    """
    reasons: list[ParkReason] = []
    if _far_above(gross, [bill.minor for bill in earlier if bill.currency == gross.currency]):
        reasons.append("far_above_recent_bills")
    if any(line.amount < 0 or line.quantity < 0 for line in lines):
        reasons.append("negative_line")
    if len({(line.account_id, line.service, line.kind) for line in lines}) < len(lines):
        reasons.append("duplicate_line")
    if periods_due > MOST_PERIODS_TO_CATCH_UP:
        reasons.append("too_many_periods")
    return tuple(reasons)


def _far_above(gross: Money, earlier: Sequence[int]) -> bool:
    last_three = sorted(earlier[-MOST_RECENT:])
    return (
        len(last_three) == MOST_RECENT and gross.minor > MOST_TIMES_THE_MEDIAN * last_three[MOST_RECENT // 2]
    )
