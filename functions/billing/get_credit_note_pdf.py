"""GET /v1/billing/credit-notes/{reference}/pdf

Leads to a credit note's PDF: a redirect to a link that works for five minutes, which the body names too.
"""

from portal.billing import bill_pdf, documents, history
from portal.operation import DISTRIBUTORS, Call, Reply, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS, status=302)
def handler(call: Call) -> Reply:
    note = history.get_credit_note(call.scope, call.path["reference"])
    documents.keep_credit_note(note, bill_pdf.render)
    link = documents.link_to_credit_note(note, call.now)
    return Reply(link, headers={"Location": link.url})
