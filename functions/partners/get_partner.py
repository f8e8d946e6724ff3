"""GET /v1/partners/{partner_id}

One partner, by its id or its visible Partner ID.
"""

from portal.operation import DISTRIBUTORS, Call, operation
from portal.partners import records, views
from portal.permissions import Permission


@operation(Permission.DASHBOARD_VIEW, portals=DISTRIBUTORS)
def handler(call: Call) -> views.Partner:
    return views.partner(records.get_partner(call.scope, call.path["partner_id"]))
