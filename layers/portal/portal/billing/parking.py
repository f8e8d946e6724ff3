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


def parked(distributor: Node, bill_sk: str, reasons: Sequence[str], at: datetime) -> Write:
    """What an operator finds on the list, to be written in the transaction that parks the bill."""
    logger.warning(
        "a bill is parked", extra={"bill": bill_sk, "distributor": str(distributor), "reasons": list(reasons)}
    )
    metrics.add_metric("BillParked", unit="Count", value=1)
    parked_id = ids.new("prk", at)
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
