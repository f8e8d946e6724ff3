"""Receipts: one for each payment, rendered once from what was frozen when it was recorded, and kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from portal.adapters import files
from portal.billing import bill_text, records
from portal.billing.documents import link_to
from portal.billing.seller import seller
from portal.billing.views import DocumentLink
from portal.errors import NotFound
from portal.journal import Message
from portal.money import Money
from portal.notifications.messages import mail
from portal.scope import Scope


@dataclass(frozen=True, slots=True)
class Receipt:
    """All that a receipt says. It never changes."""

    number: str
    bill_kind: str
    """`monthly` or `annual`."""
    bill_reference: str
    bill_issued_on: date
    seller: Mapping[str, Any]
    payer: Mapping[str, Any]
    """As the bill has them."""
    paid_by: str
    received_on: date
    amount: Money
    excess: Money
    """What of it went to the credit balance."""
    owed: Money
    """On the bill, after the payment."""


def get_payment(scope: Scope, bill: records.Bill, payment_id: str) -> records.Payment:
    """Raises:
    NotFound: no such payment was recorded for the bill.
    """
    found = records.find_payment(scope, bill, payment_id)
    if found is None:
        raise NotFound
    return found


def receipt_for(bill: records.Bill, payment: records.Payment) -> Receipt:
    def money(minor: float) -> Money:
        return Money(int(minor), payment.currency)

    return Receipt(
        number=payment.receipt,
        bill_kind=bill.bill_kind,
        bill_reference=bill.reference or "",
        bill_issued_on=bill.issued_on,
        seller=bill.seller or seller(),
        payer=bill.payer,
        paid_by=payment.paid_by,
        received_on=payment.received_on,
        amount=money(payment.amount_minor),
        excess=money(payment.excess_minor),
        owed=money(payment.owed_minor),
    )


def receipt_key(payment: records.Payment) -> str:
    """Where a receipt is kept: `bills/dst_1/receipt-80035-1.pdf`."""
    return f"bills/{payment.node.distributor}/{_file_name(payment)}"


def _file_name(payment: records.Payment) -> str:
    return f"receipt-{payment.receipt}.pdf"


def keep(bill: records.Bill, payment: records.Payment, render: Callable[[Receipt], bytes]) -> None:
    """Render a receipt if it is not there yet; it is never replaced."""
    key = receipt_key(payment)
    if not files.exists(key):
        files.put(key, render(receipt_for(bill, payment)), "application/pdf")


def link(payment: records.Payment, now: datetime) -> DocumentLink:
    """For whoever may see a receipt that is kept."""
    return link_to(receipt_key(payment), _file_name(payment), now)


def announcement(bill: records.Bill, payment: records.Payment) -> Message:
    """The mail that brings a receipt to those who get billing notifications, once."""
    receipt = receipt_for(bill, payment)
    return mail(
        bill.node,
        to_billing=True,
        template="payment_received",
        parameters={
            "reference": receipt.bill_reference,
            "amount": str(receipt.amount),
            "received_on": receipt.received_on.isoformat(),
            "paid_by": bill_text.PAID_BY[receipt.paid_by].lower(),
            "owed": str(receipt.owed) if receipt.owed.minor else "",
            "excess": str(receipt.excess) if receipt.excess.minor else "",
        },
        attach=[
            {
                "key": receipt_key(payment),
                "name": _file_name(payment),
                "link": f"/billing/history/{receipt.bill_reference}",
            }
        ],
        dedupe=f"payment-received {payment.payment_id}",
    )
