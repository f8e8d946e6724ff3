"""POST /v1/partners/{partner_id}/access

Enters the partner's portal: answers tokens that speak for it and still name you. Audited in both portals.
"""

from portal.identity import actions
from portal.identity.views import Tokens
from portal.operation import DISTRIBUTORS, Call, operation
from portal.partners import records
from portal.permissions import Permission


@operation(Permission.DASHBOARD_VIEW, portals=DISTRIBUTORS)
def handler(call: Call) -> Tokens:
    partner = records.get_partner(call.scope, call.path["partner_id"])
    opened = actions.enter(call.caller, partner.node, call.origin)
    call.commit(*opened.writes, audit=actions.accessed(call.caller, partner.node, partner.email))
    return opened.tokens
