"""GET /v1/billing/history/{reference}/pdf

Leads to the bill's PDF: a redirect to a link that works for five minutes, which the body names too.
"""

from portal.billing import bill_pdf, documents, history
from portal.operation import DISTRIBUTORS, Call, Reply, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS, status=302)
def handler(call: Call) -> Reply:
    bill = history.get_issued_bill(call.scope, call.path["reference"])
    documents.keep(call.scope, bill, "pdf", bill_pdf.render)
    link = documents.link(bill, "pdf", call.now)
    return Reply(link, headers={"Location": link.url})
