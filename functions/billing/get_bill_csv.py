"""GET /v1/billing/history/{reference}/csv

Leads to a consolidated bill's lines as CSV: a redirect to a link that works for five minutes, which the body
names too.
"""

from portal.billing import bill_csv, documents, history
from portal.operation import DISTRIBUTORS, Call, Reply, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS, status=302)
def handler(call: Call) -> Reply:
    bill = history.get_issued_bill(call.scope, call.path["reference"])
    history.check_is_consolidated(bill)
    documents.keep(call.scope, bill, "csv", bill_csv.render)
    link = documents.link(bill, "csv", call.now)
    return Reply(link, headers={"Location": link.url})
