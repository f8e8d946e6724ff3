"""GET /v1/billing/details

Who pays the bills and where they go. Before the details are given, what the vendor knows of the distributor.
"""

from portal.billing import records, views
from portal.distributors.records import get_distributor
from portal.operation import DISTRIBUTORS, Call, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call) -> views.PaymentDetailsShown:
    distributor = get_distributor(call.scope, call.caller.portal.distributor)
    return views.payment_details(distributor, records.find_payment_details(call.scope, distributor.node))
