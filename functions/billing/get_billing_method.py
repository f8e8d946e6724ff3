"""GET /v1/billing/method

How the distributor pays its consolidated bills.
"""

from portal.billing import views
from portal.distributors.records import get_distributor
from portal.operation import DISTRIBUTORS, Call, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call) -> views.BillingMethod:
    return views.billing_method(get_distributor(call.scope, call.caller.portal.distributor))
