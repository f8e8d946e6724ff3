"""What operators are shown of money that moves, or waits to."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from portal.billing.parking import TRANSFER
from portal.money import Money
from portal.money_view import MoneyView, money

if TYPE_CHECKING:
    from portal.billing.records import Bill, Payment
    from portal.operators.records import Parked


Reason = Literal[
    "far_above_recent_bills", "negative_line", "duplicate_line", "too_many_periods", "unpriced_service",
    "refunded_at_provider", "disputed_at_provider", "transfer_to_be_looked_at", "books_wrong",
]  # fmt: skip


class RecordedPayment(BaseModel):
    payment_id: str
    reference: str
    amount: MoneyView
    received_on: date
    note: str | None
    receipt: str = Field(description="Number of the receipt.")
    bill_state: Literal["issued", "overdue", "paid", "credited"]
    outstanding: MoneyView = Field(description="What is owed on the bill after this payment.")
    excess: MoneyView = Field(description="What of it went to the distributor's credit balance.")


class FindingView(BaseModel):
    invariant: str = Field(description="B1 to B12: which of the rules that always hold does not.")
    about: str
    said: str


class ParkedBill(BaseModel):
    parked_id: str
    distributor_id: str = Field(description="Empty where the numbers of all distributors' bills are wrong.")
    state: Literal["waiting", "released"]
    reasons: list[Reason]
    parked_at: datetime
    released_at: datetime | None
    released_by: str | None
    kind: Literal["monthly", "annual", "transfer", "books"] = Field(
        description="A consolidated bill, an annual invoice, a bank transfer that lies at the payment provider for no "
        "bill, or the books as a whole: then nothing is issued, charged or reminded of until it is released."
    )
    findings: list[FindingView] = Field(description="What is wrong with the books.")
    account_id: str | None = Field(description="Whose annual invoice it is.")
    period_start: date | None
    period_end: date | None = Field(description="The day after the last one.")
    amount: MoneyView | None = Field(
        description="What it comes to, tax included, as far as it could be rated."
    )
    bill_state: str | None = Field(
        description="What has become of the bill: parked, draft, issued, paid, ..."
    )
    reference: str | None = Field(description="Its number, once issued.")


def recorded_payment(payment: "Payment", bill: "Bill") -> RecordedPayment:
    return RecordedPayment.model_validate(
        {
            "payment_id": payment.payment_id,
            "reference": bill.reference,
            "amount": money(Money(int(payment.amount_minor), payment.currency)),
            "received_on": payment.received_on,
            "note": payment.note,
            "receipt": payment.receipt,
            "bill_state": bill.state,
            "outstanding": money(Money(int(payment.owed_minor), payment.currency)),
            "excess": money(Money(int(payment.excess_minor), payment.currency)),
        }
    )


def parked_bill(parked: "Parked", bill: "Bill | None") -> ParkedBill:
    """`bill` is None where the books as a whole are parked, or a transfer for no bill is told of."""
    otherwise = "transfer" if TRANSFER in parked.reasons else "books"
    return ParkedBill.model_validate(
        {
            "parked_id": parked.parked_id,
            "distributor_id": parked.distributor_id,
            "state": parked.state,
            "reasons": parked.reasons,
            "parked_at": parked.created_at,
            "released_at": parked.released_at,
            "released_by": parked.released_by,
            "findings": parked.findings or [],
            "kind": bill.bill_kind if bill else otherwise,
            "account_id": bill.account_id if bill else None,
            "period_start": bill.period_start_on if bill else None,
            "period_end": bill.period_end_on if bill else None,
            "amount": money(Money(int(bill.total_minor), bill.currency)) if bill else None,
            "bill_state": bill.state if bill else None,
            "reference": bill.reference if bill else None,
        }
    )
