"""What is mailed of charging cards."""

from portal.billing.records import Bill
from portal.change import Change
from portal.journal import Message
from portal.money import Money
from portal.notifications.messages import mail
from portal.payments.records import Charge, find_card
from portal.scope import EVERYTHING


def failure_mail(bill: Bill, charge: Charge, change: Change) -> Message:
    """To who gets billing mail: an attempt has failed, by this change of the charge."""
    failure, next_try = change["failures"][-1], change["look_at"]
    card = find_card(EVERYTHING, bill.node, failure["card"]) if failure["card"] else None
    return mail(
        bill.node,
        to_billing=True,
        template="charge_failed",
        parameters={
            "reference": bill.reference,
            "amount": str(Money(bill.outstanding_minor, bill.currency)),
            "card": f"{card.brand} ending in {card.last4}" if card else "",
            "reason": failure["message"],
            "next_try_on": next_try.date().isoformat() if next_try else None,
        },
        dedupe=f"charge-failed {bill.reference} {len(change['failures'])}",
    )
