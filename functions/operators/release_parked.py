"""POST /v1/operator/parked/{parked_id}/release

Lets a parked bill go: it is issued as it stands. One that was stopped because a service had no price is rated
anew, with today's price for that service; set one first. Where more periods wait, the next one is billed or
parked then. Of books that were found wrong, what was found holds the distributor no longer; while it does, none of its
bills can be released; afterwards they are paid and charged again. A notice of money that was refunded or disputed at the
payment provider, or of a bank transfer there, only leaves the list.
"""

from portal.billing.release import releasing
from portal.journal import Activity, Entry
from portal.operation import OPERATORS, Call, operation
from portal.operators import records, views
from portal.permissions import Permission
from portal.tree import VENDOR, Node


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS)
def handler(call: Call) -> views.ParkedBill:
    parked = records.get_parked(call.scope, call.path["parked_id"])
    release = releasing(parked, by=call.caller.email, at=call.now)
    told = {VENDOR, Node(parked.distributor_id)}
    call.commit(
        *release.writes,
        audit=[
            Entry(Activity.BILLING_DETAILS_UPDATED, node, release.said, about=release.about) for node in told
        ],
        send=release.messages,
    )
    return views.parked_bill(parked, release.bill)
