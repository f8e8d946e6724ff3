"""Bank transfers to the payment provider that pay no bill as they are: an operator is told, who knows what is to be done.

A transfer of less than a page asks for waits there for the rest, and what is sent too much, too late or for nothing lies in
the distributor's cash balance there. Nothing of either is booked here before it has paid something there.
"""

from datetime import datetime

from portal import ids
from portal.adapters import stripe
from portal.billing.parking import TRANSFER, parked
from portal.billing.records import find_bill
from portal.consumer import Work
from portal.operators.records import find_parked
from portal.payments.records import find_customer
from portal.scope import EVERYTHING
from portal.table import settled
from portal.telemetry import logger
from portal.tree import Node


def look_into_part(work: Work, intent_id: str, event_id: str, told_at: datetime) -> None:
    """The provider has told that a part of a transfer has arrived: while the rest has not, operators find it, once.

    Raises:
        stripe.Unknown: it does not answer; the message comes again.
    """
    try:
        intent = stripe.get_intent(intent_id)
    except stripe.Refused:
        logger.warning("told of an intent that is not there", extra={"intent": intent_id})
        return
    customer = find_customer(intent.customer_id) if intent.customer_id else None
    if customer is None or customer.distributor_id != intent.metadata.get("distributor_id"):
        logger.warning("told of a transfer that is nobody's", extra={"intent": intent_id})
        return
    if intent.status == "requires_action" and intent.arrived_minor:
        bill_sk = intent.metadata.get("bill_sk", "")
        _note(work, Node(customer.distributor_id), bill_sk, ids.of("prk", told_at, event_id))


def look_into_balance(
    work: Work, transaction_id: str, customer_id: str | None, event_id: str, told_at: datetime
) -> None:
    """The provider has told that a customer's cash balance has changed: if a transfer lies there that has paid nothing,
    operators find it, once.

    Raises:
        stripe.Unknown: it does not answer; the message comes again.
    """
    customer = find_customer(customer_id) if customer_id else None
    if customer is None or customer_id is None:
        logger.warning("told of a transfer that is nobody's", extra={"transaction": transaction_id})
        return
    try:
        left_over = stripe.is_left_over(customer_id, transaction_id)
    except stripe.Refused:
        logger.warning("told of a transfer that is not there", extra={"transaction": transaction_id})
        return
    if left_over:
        _note(work, Node(customer.distributor_id), None, ids.of("prk", told_at, event_id))


def _note(work: Work, distributor: Node, bill_sk: str | None, parked_id: str) -> None:
    def attempt() -> None:
        known = bill_sk is None or find_bill(EVERYTHING, distributor, bill_sk) is not None
        if known and find_parked(EVERYTHING, parked_id) is None:
            work.commit(parked(distributor, bill_sk, [TRANSFER], work.now, parked_id=parked_id))

    settled(attempt)
