"""GET /v1/billing/prices

What the distributor pays per billable entity: the prices in effect today, and those that are going to be.
"""

from portal.billing import records, views
from portal.operation import DISTRIBUTORS, Call, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call) -> views.PriceList:
    return views.price_list(records.list_price_books(call.scope, call.caller.portal), call.now.date())
