"""POST /v1/operator/bills/{reference}/credit-notes

Takes something off what is still owed on a bill: quantities of its lines that were too high (`lines`, with what they
should have been, priced as they were billed), an `amount` with tax, or, with `all`, everything that is owed. The
bill stays as it was issued; the credit note has a number of its own and is mailed as PDF. More than is owed is
refused: what was paid is not given back this way. A credited quantity of an annual invoice stays invoiced: no true-up
charges it again.
"""

from portal.billing import crediting, views
from portal.billing.records import get_bill
from portal.journal import Activity, Entry
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission
from portal.tree import VENDOR


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS, status=201)
def handler(call: Call, body: crediting.NewCreditNote) -> views.CreditNoteRow:
    bill = get_bill(call.scope, call.path["reference"])
    credit = crediting.credit_of(call.scope, bill, body)
    issued = crediting.crediting(call.scope, bill, credit, body.reason, call.now)
    said = f"Issued credit note {issued.note.reference} over {credit.total.gross} for bill {bill.reference}"
    call.commit(
        *issued.writes,
        audit=[
            Entry(Activity.BILLING_DETAILS_UPDATED, node, said, about=bill.account_node)
            for node in (VENDOR, bill.node)
        ],
        send=issued.messages,
    )
    return views.credit_note_row(issued.note)
