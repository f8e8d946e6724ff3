"""POST /v1/operator/bills/{reference}/payments

Records money that has arrived by bank transfer. A part of what is owed is taken too; with the last part the
bill is paid. What is more than is owed, or in another currency, is refused.
"""

from datetime import date

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


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS, status=201)
def handler(call: Call, body: BankTransfer) -> views.RecordedPayment:
    bill = get_bill(call.scope, call.path["reference"])
    received = receiving(bill, body.amount, body.currency, body.received_on, body.note, call.now)
    said = f"Recorded a bank transfer of {received.amount} for bill {bill.reference}"
    call.commit(
        *received.writes,
        audit=[
            Entry(Activity.BILLING_DETAILS_UPDATED, node, said, about=bill.account_node)
            for node in (VENDOR, bill.node)
        ],
        send=received.messages,
    )
    return views.recorded_payment(received.payment, bill)
