"""GET /v1/billing/history/{reference}/payments/{payment_id}/receipt

Leads to the PDF of a payment's receipt: a redirect to a link that works for five minutes, which the body names too.
"""

from portal.billing import history, receipt_pdf, receipts
from portal.operation import DISTRIBUTORS, Call, Reply, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS, status=302)
def handler(call: Call) -> Reply:
    bill = history.get_issued_bill(call.scope, call.path["reference"])
    payment = receipts.get_payment(call.scope, bill, call.path["payment_id"])
    receipts.keep(bill, payment, receipt_pdf.render)
    link = receipts.link(payment, call.now)
    return Reply(link, headers={"Location": link.url})
