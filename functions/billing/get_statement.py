"""GET /v1/billing/history/{reference}/statements/{partner_id}

Leads to the lines of one partner's accounts on a consolidated bill as CSV (`direct`: of the distributor's own): a
redirect to a link that works for five minutes, which the body names too.
"""

from functools import partial

from portal.billing import bill_csv, documents, history
from portal.operation import DISTRIBUTORS, Call, Reply, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS, status=302)
def handler(call: Call) -> Reply:
    bill = history.get_issued_bill(call.scope, call.path["reference"])
    history.check_is_consolidated(bill)
    partner_id = call.path["partner_id"]
    render = partial(bill_csv.render_statement, partner_id=partner_id)
    documents.keep(call.scope, bill, "csv", render, partner_id)
    link = documents.link(bill, "csv", call.now, partner_id)
    return Reply(link, headers={"Location": link.url})
