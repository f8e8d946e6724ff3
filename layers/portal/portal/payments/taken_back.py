"""Money that the payment provider has given back, or may have to: an operator is told, who knows what is to be done.

Nothing of it is booked: what a bill was paid stays on record, and whether the payer owes it again is for people to say.
"""

from datetime import datetime

from portal import ids
from portal.adapters import stripe
from portal.billing.parking import parked
from portal.billing.records import find_bill
from portal.consumer import Work
from portal.operators.records import find_parked
from portal.payments.records import find_customer
from portal.scope import EVERYTHING
from portal.table import settled
from portal.telemetry import logger
from portal.tree import Node


def look_into(work: Work, charge_id: str, event_id: str, told_at: datetime) -> None:
    """The provider has told that a charge was refunded or disputed: if so, operators find its bill on their list, once.

    Raises:
        stripe.Unknown: it does not answer; the message comes again.
    """
    try:
        taken_back = stripe.get_taken_back(charge_id)
        intent = stripe.get_intent(taken_back.intent_id or "") if taken_back.intent_id else None
    except stripe.Refused:
        intent = None
    customer = find_customer(intent.customer_id) if intent is not None and intent.customer_id else None
    if intent is None or customer is None or customer.distributor_id != intent.metadata.get("distributor_id"):
        logger.warning("told of a charge that is no bill's", extra={"charge": charge_id})
        return
    reasons = ["refunded_at_provider"] if taken_back.refunded_minor else []
    reasons += ["disputed_at_provider"] if taken_back.disputed else []
    if reasons:
        node, bill_sk = Node(customer.distributor_id), intent.metadata.get("bill_sk", "")
        parked_id = ids.of("prk", told_at, event_id)
        settled(lambda: _tell(work, node, bill_sk, reasons, parked_id))


def _tell(work: Work, distributor: Node, bill_sk: str, reasons: list[str], parked_id: str) -> None:
    bill = find_bill(EVERYTHING, distributor, bill_sk) if bill_sk else None
    if bill is not None and find_parked(EVERYTHING, parked_id) is None:
        work.commit(parked(distributor, bill_sk, reasons, work.now, parked_id=parked_id))
