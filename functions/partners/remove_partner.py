"""DELETE /v1/partners/{partner_id}

Removes a partner that has no accounts left, with its users; their e-mail addresses are free again. The audit
trail stays.
"""

from portal.dashboard.records import find_rollup
from portal.identity.actions import RELEASED_AT_ONCE, forget, release_users
from portal.identity.records import find_security, list_users
from portal.journal import Activity, Entry
from portal.operation import DISTRIBUTORS, Call, operation
from portal.partners import records, rules
from portal.permissions import Permission
from portal.table import Check, Delete


@operation(Permission.ACCOUNTS_REMOVE, portals=DISTRIBUTORS)
def handler(call: Call) -> None:
    partner = records.get_partner(call.scope, call.path["partner_id"])
    rules.remove(partner)
    users = list(list_users(call.scope, partner.node))
    # The oldest stay to the last transaction, the first administrator among them: if an account is added
    # meanwhile, the partner stays with somebody who can sign in.
    for first in range(RELEASED_AT_ONCE, len(users), RELEASED_AT_ONCE):
        some = users[first : first + RELEASED_AT_ONCE]
        call.commit_now(Check(partner), *release_users(partner.node, some), send=forget(partner.node, some))
    beside = [
        records.find_partner_code(partner),
        find_rollup(call.scope, partner.node),
        find_security(partner.node),
    ]
    said = f"Removed partner {partner.name}"
    entry = Entry(Activity.PARTNER_REMOVED, call.caller.portal, said, partner.email, partner.node)
    call.commit(
        Delete(partner),
        *(Delete(record) for record in beside if record),
        *release_users(partner.node, users[:RELEASED_AT_ONCE], tenant_email=partner.email),
        audit=[entry],
        send=forget(partner.node, users[:RELEASED_AT_ONCE]),
    )
