"""Parking: a bill that a guard rail stopped waits for an operator, and nothing of it is charged or mailed."""

from collections.abc import Sequence
from datetime import datetime

from portal import ids, keys
from portal.operators.records import Parked
from portal.table import Put, Write
from portal.telemetry import logger, metrics
from portal.tree import VENDOR, Node

UNPRICED = "unpriced_service"
"""Reason to park a bill: an account uses a service that its price book does not know."""
TRANSFER = "transfer_to_be_looked_at"
NOTICES = frozenset({"refunded_at_provider", "disputed_at_provider", TRANSFER})
"""Reasons to look at an issued bill that is not stopped by that: the payment provider has given its money back, or may
have to, or has got a bank transfer that does not pay it. Of the latter it may not be known for which bill it was meant.
"""


def parked(
    distributor: Node, bill_sk: str | None, reasons: Sequence[str], at: datetime, *, parked_id: str = ""
) -> Write:
    """What an operator finds on the list, to be written in the transaction that parks the bill."""
    logger.warning(
        "a bill is parked", extra={"bill": bill_sk, "distributor": str(distributor), "reasons": list(reasons)}
    )
    metrics.add_metric("BillParked", unit="Count", value=1)
    parked_id = parked_id or ids.new("prk", at)
    return Put(
        Parked(
            keys.node(VENDOR),
            keys.parked(parked_id),
            parked_id=parked_id,
            distributor_id=distributor.distributor,
            bill_sk=bill_sk,
            reasons=list(reasons),
            state="waiting",
            created_at=at,
        )
    )
