"""POST /v1/operator/distributors/{distributor_id}/access

Enters the distributor's portal: answers tokens that speak for it and still name you. Audited in both portals.
"""

from portal.distributors import records
from portal.identity import actions
from portal.identity.views import Tokens
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission


@operation(Permission.OPERATOR_DISTRIBUTORS, portals=OPERATORS)
def handler(call: Call) -> Tokens:
    distributor = records.get_distributor(call.scope, call.path["distributor_id"])
    opened = actions.enter(call.caller, distributor.node, call.origin)
    call.commit(*opened.writes, audit=actions.accessed(call.caller, distributor.node, distributor.email))
    return opened.tokens
