"""POST /v1/operator/bills/{reference}/payments

Records money that has arrived by bank transfer. A part of what is owed is taken too; with the last part the bill is
paid. More than is owed is refused, and the answer says what is, unless `excess` is `keep`: then the excess, all of it
where the bill is settled already, goes to the distributor's credit balance, which pays its other open bills, the
earliest due first, and its next ones. Another currency is refused. So is everything while the bill's card is being
charged.
"""

from datetime import date
from typing import Literal

from pydantic import BaseModel

from portal.billing.payments import receiving
from portal.billing.prices import Amount
from portal.billing.records import get_bill
from portal.fields import Currency, Line
from portal.journal import Activity, Entry
from portal.operation import OPERATORS, Call, operation
from portal.operators import views
from portal.permissions import Permission
from portal.tree import VENDOR


class BankTransfer(BaseModel, extra="forbid"):
    amount: Amount
    currency: Currency
    received_on: date
    note: Line = ""
    excess: Literal["refuse", "keep"] = "refuse"


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS, status=201)
def handler(call: Call, body: BankTransfer) -> views.RecordedPayment:
    bill = get_bill(call.scope, call.path["reference"])
    keep_excess = body.excess == "keep"
    received = receiving(
        bill, body.amount, body.currency, body.received_on, body.note, call.now, keep_excess=keep_excess
    )
    said = f"Recorded a bank transfer of {received.amount} for bill {bill.reference}"
    if received.excess.minor:
        said += f", {received.excess} of it for the credit balance"
    call.commit(
        *received.writes,
        audit=[
            Entry(Activity.BILLING_DETAILS_UPDATED, node, said, about=bill.account_node)
            for node in (VENDOR, bill.node)
        ],
        send=received.messages,
    )
    return views.recorded_payment(received.payment, bill)
