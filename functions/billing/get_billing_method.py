"""GET /v1/billing/method

How the distributor pays its consolidated bills, and what it has left of what it paid in excess.
"""

from portal.billing import views
from portal.billing.credit_balance import load_balance
from portal.distributors.records import get_distributor
from portal.operation import DISTRIBUTORS, Call, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call) -> views.BillingMethod:
    distributor = get_distributor(call.scope, call.caller.portal.distributor)
    return views.billing_method(distributor, load_balance(call.scope, distributor))
