"""DELETE /v1/partners/{partner_id}

Removes a partner that has no accounts left, with its users; their e-mail addresses are free again. The audit
trail stays.
"""

from portal.dashboard.records import find_rollup
from portal.identity.actions import release_users
from portal.journal import Activity, Entry
from portal.operation import DISTRIBUTORS, Call, operation
from portal.partners import records, rules
from portal.permissions import Permission
from portal.table import Delete


@operation(Permission.ACCOUNTS_REMOVE, portals=DISTRIBUTORS)
def handler(call: Call) -> None:
    partner = records.get_partner(call.scope, call.path["partner_id"])
    rules.remove(partner)
    beside = [records.find_partner_code(partner), find_rollup(call.scope, partner.node)]
    entry = Entry(
        Activity.PARTNER_REMOVED, call.caller.portal, f"Removed partner {partner.name}", partner.email
    )
    call.commit(
        Delete(partner),
        *(Delete(record) for record in beside if record),
        *release_users(partner.node),
        audit=[entry],
    )
