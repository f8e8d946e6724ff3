"""Payments as distributors are shown them."""

from datetime import date
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from portal.money import Money
from portal.money_view import MoneyView, money

if TYPE_CHECKING:
    from portal.billing.records import Payment

PaidBy = Literal["bank_transfer", "credit_card", "payment_page", "credit_balance"]


class PaymentRow(BaseModel):
    """Money that was received for a bill."""

    payment_id: str
    receipt: str = Field(description="Number of its receipt: the bill's, and which of its payments it is.")
    received_on: date
    paid_by: PaidBy = Field(description="`credit_balance`: from what was paid in excess before.")
    amount: MoneyView
    excess: MoneyView = Field(description="What of it was more than was owed: it went to the credit balance.")
    outstanding: MoneyView = Field(description="What was still owed on the bill after it.")


def payment_row(payment: "Payment") -> PaymentRow:
    def shown(minor: float) -> MoneyView:
        return money(Money(int(minor), payment.currency))

    return PaymentRow.model_validate(
        {
            "payment_id": payment.payment_id,
            "receipt": payment.receipt,
            "received_on": payment.received_on,
            "paid_by": payment.paid_by,
            "amount": shown(payment.amount_minor),
            "excess": shown(payment.excess_minor),
            "outstanding": shown(payment.owed_minor),
        }
    )
