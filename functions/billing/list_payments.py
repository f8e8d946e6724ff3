"""GET /v1/billing/history/{reference}/payments

What was received for a bill, when and how, the first payment first. Each has a receipt.
"""

from portal.billing import history, payment_views, records
from portal.operation import DISTRIBUTORS, Call, operation
from portal.paging import Page, PageQuery
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call, query: PageQuery) -> Page[payment_views.PaymentRow]:
    bill = history.get_issued_bill(call.scope, call.path["reference"])
    payments = records.list_payments(call.scope, bill)
    return call.page(
        payments,
        query,
        key=lambda payment: (len(payment.receipt), payment.receipt),
        show=payment_views.payment_row,
    )
