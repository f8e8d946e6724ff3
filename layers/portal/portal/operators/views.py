"""What operators are shown of money that moves, or waits to."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from portal.money import Money
from portal.money_view import MoneyView, money

if TYPE_CHECKING:
    from portal.billing.records import Bill, Payment
    from portal.operators.records import Parked


Reason = Literal[
    "far_above_recent_bills", "negative_line", "duplicate_line", "too_many_periods", "unpriced_service"
]


class RecordedPayment(BaseModel):
    payment_id: str
    reference: str
    amount: MoneyView
    received_on: date
    note: str | None
    bill_state: Literal["issued", "overdue", "paid"]
    outstanding: MoneyView = Field(description="What is owed on the bill after this payment.")


class ParkedBill(BaseModel):
    parked_id: str
    distributor_id: str
    state: Literal["waiting", "released"]
    reasons: list[Reason]
    parked_at: datetime
    released_at: datetime | None
    released_by: str | None
    kind: Literal["monthly", "annual"] = Field(description="A consolidated bill or an annual invoice.")
    account_id: str | None = Field(description="Whose annual invoice it is.")
    period_start: date
    period_end: date = Field(description="The day after the last one.")
    amount: MoneyView = Field(description="What it comes to, tax included, as far as it could be rated.")
    bill_state: str = Field(description="What has become of the bill: parked, draft, issued, paid, ...")
    reference: str | None = Field(description="Its number, once issued.")


def recorded_payment(payment: "Payment", bill: "Bill") -> RecordedPayment:
    return RecordedPayment.model_validate(
        {
            "payment_id": payment.payment_id,
            "reference": bill.reference,
            "amount": money(Money(int(payment.amount_minor), payment.currency)),
            "received_on": payment.received_on,
            "note": payment.note,
            "bill_state": bill.state,
            "outstanding": money(Money(bill.outstanding_minor, bill.currency)),
        }
    )


def parked_bill(parked: "Parked", bill: "Bill") -> ParkedBill:
    return ParkedBill.model_validate(
        {
            "parked_id": parked.parked_id,
            "distributor_id": parked.distributor_id,
            "state": parked.state,
            "reasons": parked.reasons,
            "parked_at": parked.created_at,
            "released_at": parked.released_at,
            "released_by": parked.released_by,
            "kind": bill.bill_kind,
            "account_id": bill.account_id,
            "period_start": bill.period_start_on,
            "period_end": bill.period_end_on,
            "amount": money(Money(int(bill.total_minor), bill.currency)),
            "bill_state": bill.state,
            "reference": bill.reference,
        }
    )
