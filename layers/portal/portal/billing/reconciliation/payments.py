"""What was received for a bill: the records of it, the card's charge, and what the payment provider says."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from portal.billing.reconciliation.documents import name_of
from portal.billing.reconciliation.findings import Finding, Findings

if TYPE_CHECKING:
    from portal.adapters.stripe import Intent
    from portal.billing.records import Bill, Payment
    from portal.payments.records import Charge, PaymentPage

UNATTENDED = timedelta(days=1)
"""How long after it should have been looked up an outcome may still be unknown."""
TRANSFERS_TAKE = timedelta(days=14)
"""How long after a payment page was asked for money that was promised on it may still come."""
_AT_PROVIDER = ("credit_card", "payment_page")


def were_at_provider(payments: Sequence["Payment"]) -> bool:
    return any(each.paid_by in _AT_PROVIDER for each in payments)


def check_received(bill: "Bill", payments: Sequence["Payment"], charge: "Charge | None") -> Findings:
    """B4, and B11 of a bill that is not issued."""
    name = name_of(bill)
    if bill.reference is None:
        if payments or charge is not None:
            yield Finding("B11", name, "It is not issued, yet something was charged or received for it.")
        return
    kept = sum(int(each.amount_minor - each.excess_minor) for each in payments)
    if kept != bill.paid_minor:
        yield Finding("B4", name, f"Its payments come to {kept}, it says {bill.paid_minor}.")
    if len(payments) != bill.payment_count:
        yield Finding("B4", name, f"It has {len(payments)} payments, not {bill.payment_count}.")
    if any(each.currency != bill.currency for each in payments):
        yield Finding("B4", name, "It was paid in another currency.")
    by_card = [each for each in payments if each.paid_by == "credit_card"]
    if len(by_card) > 1:
        yield Finding("B4", name, f"Its card was charged {len(by_card)} times.")
    charged = {each.payment_id for each in by_card}
    if charge is not None and charge.state == "succeeded" and charge.intent_id not in charged:
        yield Finding("B4", name, "Its charge succeeded, yet no payment is recorded.")


def check_attended(bill: "Bill", charge: "Charge | None", now: datetime) -> Findings:
    """B10: a charge whose outcome is unknown blocks all others until it is looked up, so it has to be."""
    if charge is None or not charge.is_in_flight:
        return
    if charge.look_at is None or charge.look_at < now - UNATTENDED:
        yield Finding("B10", name_of(bill), "Nobody looks up what became of its charge.")


def check_recorded(bill: "Bill", payments: Sequence["Payment"], intents: Mapping[str, "Intent"]) -> Findings:
    """B4: what is recorded as paid at the provider is so there. `intents` are all that the bill can have."""
    for each in payments:
        if each.paid_by not in _AT_PROVIDER:
            continue
        intent = intents.get(each.payment_id)
        received = intent.received_minor if intent and intent.status == "succeeded" else 0
        if received != each.amount_minor:
            yield Finding(
                "B4",
                name_of(bill),
                f"The provider has received {received} as {each.payment_id}, recorded is {each.amount_minor}.",
            )


def check_charged(
    intent: "Intent",
    bill: "Bill | None",
    charge: "Charge | None",
    page: "PaymentPage | None",
    now: datetime,
) -> Findings:
    """B4: what the provider has taken in is recorded, and this is not. What is still on its way is not missed yet."""
    reference = intent.metadata.get("reference", "")
    if bill is None:
        yield Finding("B4", f"bill {reference}", f"The provider has charged {intent.intent_id} for no bill.")
        return
    if (charge is not None and charge.is_in_flight) or _is_awaited(page, now):
        return
    yield Finding(
        "B4",
        name_of(bill),
        f"The provider has received {intent.received_minor} as {intent.intent_id}, which is not recorded.",
    )


def _is_awaited(page: "PaymentPage | None", now: datetime) -> bool:
    if page is None:
        return False
    patience = {"open": UNATTENDED, "processing": TRANSFERS_TAKE}.get(page.state)
    return patience is not None and (page.offered_until or page.asked_at) > now - patience
