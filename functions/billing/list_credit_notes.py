"""GET /v1/billing/history/{reference}/credit-notes

What was taken off a bill after it was issued, the first credit note first.
"""

from portal.billing import history, records, views
from portal.operation import DISTRIBUTORS, Call, operation
from portal.paging import Page, PageQuery
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call, query: PageQuery) -> Page[views.CreditNoteRow]:
    bill = history.get_issued_bill(call.scope, call.path["reference"])
    notes = records.list_credit_notes(call.scope, bill.node, bill.reference)
    return call.page(
        notes, query, key=lambda note: (len(note.reference), note.reference), show=views.credit_note_row
    )
