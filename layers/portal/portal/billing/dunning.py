"""Unpaid bills as days pass."""

from datetime import date

from portal.billing import rules
from portal.billing.holds import find_hold
from portal.billing.records import Bill, find_bill
from portal.consumer import Work
from portal.journal import Message
from portal.money import Money
from portal.notifications.messages import mail
from portal.scope import EVERYTHING
from portal.table import Update
from portal.tree import Node


def look_at(work: Work, distributor: Node, bill_sk: str, today: date) -> None:
    """Move a bill on to what it is today, and remind of it where that is due: in one transaction, so once.

    Of a distributor that is held nothing moves on.
    """
    bill = find_bill(EVERYTHING, distributor, bill_sk)
    if bill is None:
        return
    looked = rules.look(bill, today)
    if looked.change and find_hold(EVERYTHING, distributor) is None:
        reminders = [] if looked.reminder is None else [_reminder(bill, looked.reminder)]
        work.commit(Update(bill, looked.change), send=reminders)


def _reminder(bill: Bill, days_past: int) -> Message:
    return mail(
        bill.node,
        to_billing=True,
        template="bill_reminder",
        parameters={
            "reference": bill.reference,
            "amount": str(Money(bill.outstanding_minor, bill.currency)),
            "due_on": bill.due_on.isoformat(),
            "days_past": days_past,
        },
        dedupe=f"bill-reminder {bill.reference} {days_past}",
    )
