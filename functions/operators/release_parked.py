"""POST /v1/operator/parked/{parked_id}/release

Lets a parked bill go: it is issued as it stands. One that was stopped because a service had no price is rated
anew, with today's price for that service; set one first. Where more periods wait, the next one is billed or
parked then.
"""

from portal.billing.release import releasing
from portal.journal import Activity, Entry
from portal.operation import OPERATORS, Call, operation
from portal.operators import records, views
from portal.permissions import Permission
from portal.tree import VENDOR


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS)
def handler(call: Call) -> views.ParkedBill:
    parked = records.get_parked(call.scope, call.path["parked_id"])
    release = releasing(parked, by=call.caller.email, at=call.now)
    bill = release.bill
    said = f"Released the parked bill for {bill.period_start_on} to {bill.period_end_on}"
    call.commit(
        *release.writes,
        audit=[
            Entry(Activity.BILLING_DETAILS_UPDATED, node, said, about=bill.account_node)
            for node in (VENDOR, bill.node)
        ],
        send=release.messages,
    )
    return views.parked_bill(parked, bill)
