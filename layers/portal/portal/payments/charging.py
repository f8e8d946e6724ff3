"""Charging a bill to the distributor's active card.

What is about to be done is written down first, then the provider is asked what it knows of it, and only then is
anything done there. So whatever is cut off is gone on with by looking it up, an attempt whose outcome is unknown blocks
the next one, and the one intent that a bill ever has can succeed once only. Each step below loads what is stored, asks
the provider for one thing, and notes it under the versions that it has read.
"""

from datetime import timedelta

from portal.adapters import stripe
from portal.billing import rules as billing_rules
from portal.billing.holds import find_hold
from portal.billing.payments import receiving_from_provider
from portal.billing.records import Bill, find_bill, find_payment
from portal.change import Change
from portal.consumer import Work
from portal.journal import Message
from portal.money import Money
from portal.payments import pages, rules
from portal.payments.mails import failure_mail
from portal.payments.records import (
    Charge,
    find_charge,
    find_customer,
    find_payer,
)
from portal.scope import EVERYTHING
from portal.table import Check, Update, Write, settled
from portal.telemetry import logger
from portal.tree import Node

_CLOCKS_DIFFER_BY = timedelta(hours=1)
"""At most, the provider's and this one: an intent may look older than the bill."""
_CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


def charge(work: Work, distributor: Node, bill_sk: str) -> None:
    """Go on with charging a bill as far as it goes now: look up an attempt that was begun, begin one that is due."""
    try:
        while settled(lambda: _step(work, distributor, bill_sk)):
            pass
    except stripe.Unknown as error:
        # What is stored says that it has to be looked up, and when.
        logger.warning("the payment provider does not answer", extra={"bill": bill_sk, "reason": str(error)})


def _step(work: Work, distributor: Node, bill_sk: str) -> bool:
    """Do the next piece; False when there is nothing to do before something else happens."""
    bill = find_bill(EVERYTHING, distributor, bill_sk)
    charge = find_charge(EVERYTHING, bill) if bill is not None else None
    if bill is None or charge is None:
        return False
    if charge.is_in_flight:
        return _go_on(work, bill, charge)
    if charge.state in ("waiting", "given_up") and not (bill.is_open and bill.outstanding_minor > 0):
        return _stop(work, bill, charge)
    if not rules.is_due(charge, work.now) or find_hold(EVERYTHING, distributor) is not None:
        return False
    return _ask(work, bill, charge)


def _ask(work: Work, bill: Bill, charge: Charge) -> bool:
    """Begin an attempt, once nobody can pay on a page meanwhile, and only while the bill still asks for that amount."""
    payer = find_payer(EVERYTHING, bill.node)
    if payer is None or payer.active_card_id is None:
        return _fail(work, bill, charge, rules.not_asked(charge, work.now))
    try:
        page = pages.withdraw(work, bill)
    except pages.SomethingIsPaid:
        pages.settle(work, bill.node, bill.sk)
        return False
    asked = rules.asked(charge, bill.outstanding_minor, payer.active_card_id, work.now)
    unchanged = [Check(each) for each in (bill, payer, page) if each is not None]
    work.commit(Update(charge, asked), *unchanged)
    return True


def _go_on(work: Work, bill: Bill, charge: Charge) -> bool:
    """What has become of the attempt that was asked for; nothing of it is done before it is known not to be done yet, or
    while the distributor is held.
    """
    if charge.intent_id is None:
        return _find_or_create(work, bill, charge)
    intent = stripe.get_intent(charge.intent_id)
    if intent.status == "succeeded":
        return _take_in(work, bill, charge, intent)
    if intent.status == "canceled":
        return _fail(work, bill, charge, rules.canceled(charge, work.now))
    if intent.status not in _CONFIRMABLE:
        return False
    if intent.failure and intent.charge_id != charge.last_charge_id:
        code, message = intent.failure
        return _attempt_failed(work, bill, charge, code, message, intent.charge_id)
    if find_hold(EVERYTHING, bill.node) is not None:
        return False
    return _confirm(work, bill, charge, intent)


def _find_or_create(work: Work, bill: Bill, charge: Charge) -> bool:
    payer = find_payer(EVERYTHING, bill.node)
    if payer is None or bill.reference is None:
        raise LookupError(f"{bill.sk} was asked to be charged to nobody")
    intent = stripe.find_intent(payer.customer_id, bill.reference, charge.begun_at - _CLOCKS_DIFFER_BY)
    if intent is None and find_hold(EVERYTHING, bill.node) is not None:
        return False
    if intent is None:
        about = {"distributor_id": bill.node.distributor, "bill_sk": bill.sk}
        amount, key = int(charge.amount_minor), _key(bill.reference, charge)
        try:
            intent = stripe.create_intent(
                payer.customer_id, bill.reference, amount, bill.currency, about, key
            )
        except stripe.Failed:
            _ask_anew(work, charge)
            raise
        except stripe.AmountRefused:
            return _fail(work, bill, charge, rules.amount_refused(charge, work.now))
        except stripe.Refused as refused:
            message = f"The payment provider does not take this payment ({refused})."
            return _attempt_failed(work, bill, charge, "refused", message, None)
    work.commit(Update(charge, Change(intent_id=intent.intent_id)))
    return True


def _confirm(work: Work, bill: Bill, charge: Charge, intent: stripe.Intent) -> bool:
    """Charge the card. Cut off, it is looked up; repeated, it has the same key and so the same outcome for a day, unless the
    provider has failed inside; even so the intent itself cannot succeed twice.
    """
    key = _key(f"{bill.reference}-{charge.attempts}", charge)
    try:
        if intent.amount_minor != charge.amount_minor:
            stripe.change_amount(intent.intent_id, int(charge.amount_minor), bill.currency)
    except stripe.AmountRefused:
        return _fail(work, bill, charge, rules.amount_refused(charge, work.now))
    except stripe.Refused as refused:
        message = f"The payment provider does not take this payment ({refused})."
        return _declined(work, bill, charge, "refused", message)
    try:
        confirmed = stripe.confirm_intent(intent.intent_id, charge.card_id or "", key)
    except stripe.Failed:
        _ask_anew(work, charge)
        raise
    except stripe.Declined as declined:
        return _declined(work, bill, charge, declined.code, declined.message)
    except stripe.Refused:
        return _declined(work, bill, charge, "card_unusable", "The card cannot be charged any more.")
    if confirmed.status in _CONFIRMABLE:
        message = "The card's bank wants its owner to confirm the payment."
        return _declined(work, bill, charge, "authentication_required", message)
    return _take_in(work, bill, charge, confirmed) if confirmed.status == "succeeded" else False


def _key(key: str, charge: Charge) -> str:
    """Under a key whose answer was that the provider has failed inside there is no other answer for a day."""
    return f"{key}-again-{charge.failed_inside}" if charge.failed_inside else key


def _ask_anew(work: Work, charge: Charge) -> None:
    """Next time, once it was looked up that nothing has come of it, by another key."""
    work.commit(Update(charge, Change(failed_inside=int(charge.failed_inside) + 1)))


def _declined(work: Work, bill: Bill, charge: Charge, code: str, message: str) -> bool:
    """Note a failure, unless the intent has moved on: then that is looked into."""
    intent = stripe.get_intent(charge.intent_id or "")
    if intent.status not in _CONFIRMABLE:
        return True
    return _attempt_failed(work, bill, charge, code, message, intent.charge_id)


def _attempt_failed(
    work: Work, bill: Bill, charge: Charge, code: str, message: str, charge_id: str | None
) -> bool:
    """A card that was made the active one meanwhile is tried at once, however late that was."""
    payer = find_payer(EVERYTHING, bill.node)
    active = payer.active_card_id if payer is not None else None
    change = rules.failed(charge, code, message, charge_id, work.now, active_card_id=active)
    return _fail(work, bill, charge, change, *([Check(payer)] if payer is not None else []))


def _fail(work: Work, bill: Bill, charge: Charge, change: Change, *unchanged: Write) -> bool:
    """Once nothing is tried any more the bill is overdue. What came into the credit balance while the card was charged may
    pay it now.
    """
    overdue = [Update(bill, billing_rules.not_charged(bill))] if change["state"] == "given_up" else []
    messages = [failure_mail(bill, charge, change)]
    if charge.is_in_flight:
        body = {"kind": "bill", "distributor_id": bill.node.distributor, "bill_sk": bill.sk}
        messages.append(Message("Payments", bill.node, body))
    work.commit(Update(charge, change), *overdue, *unchanged, send=messages)
    return False


def _take_in(work: Work, bill: Bill, charge: Charge | None, intent: stripe.Intent) -> bool:
    """Record what the provider has taken, once: the charge is over, whatever it was waiting for."""
    over = []
    if charge is not None and charge.intent_id in (None, intent.intent_id) and charge.state != "succeeded":
        over = [Update(charge, rules.succeeded(intent.intent_id, intent.charge_id))]
    if find_payment(EVERYTHING, bill, intent.intent_id) is not None:
        work.commit(*over)
        return False
    amount = Money(intent.received_minor, intent.currency)
    received = receiving_from_provider(bill, intent.intent_id, amount, "credit_card", work.now)
    work.commit(*received.writes, *over, send=received.messages)
    return False


def _stop(work: Work, bill: Bill, charge: Charge) -> bool:
    """Nothing is owed any more: nobody may charge the intent either."""
    if charge.intent_id is not None:
        try:
            stripe.cancel_intent(charge.intent_id)
        except stripe.Refused:
            intent = stripe.get_intent(charge.intent_id)
            if intent.status == "succeeded":
                return _take_in(work, bill, charge, intent)
            if intent.status != "canceled":
                return False
    work.commit(Update(charge, rules.stopped()))
    return False


def settle(work: Work, intent_id: str) -> None:
    """The provider has told that something has happened to an intent: look it up, and go on from there.

    Raises:
        stripe.Unknown: it does not answer; the message comes again.
    """
    try:
        intent = stripe.get_intent(intent_id)
    except stripe.Refused:
        logger.warning("told of an intent that is not there", extra={"intent": intent_id})
        return
    customer = find_customer(intent.customer_id) if intent.customer_id else None
    distributor_id, bill_sk = (intent.metadata.get(each, "") for each in ("distributor_id", "bill_sk"))
    if customer is None or customer.distributor_id != distributor_id or not bill_sk:
        logger.warning("told of an intent that is no bill's", extra={"intent": intent_id})
        return
    distributor = Node(distributor_id)
    if intent.metadata.get("paid_by") == "payment_page":
        pages.settle(work, distributor, bill_sk)
    elif intent.status == "succeeded":
        settled(lambda: _take_in_told(work, distributor, bill_sk, intent))
    else:
        charge(work, distributor, bill_sk)


def _take_in_told(work: Work, distributor: Node, bill_sk: str, intent: stripe.Intent) -> None:
    """Also where there is no charge, or it has not heard of the intent yet, or knows another: money that was taken is
    recorded.
    """
    bill = find_bill(EVERYTHING, distributor, bill_sk)
    if bill is not None and bill.reference is not None:
        _take_in(work, bill, find_charge(EVERYTHING, bill), intent)
