"""GET /v1/billing/forecast

The distributor's next bill as its usage has it: the running period of its monthly accounts, the annual ones
that renew or have grown until its end, and the tax.
"""

from portal.billing import outlook, prices, views
from portal.distributors.records import get_distributor
from portal.operation import DISTRIBUTORS, Call, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call) -> views.BillForecast:
    distributor = get_distributor(call.scope, call.caller.portal.distributor)
    next_bill = outlook.load_next_bill(
        call.scope, distributor, prices.books(call.scope, distributor.node), call.now
    )
    return views.bill_forecast(next_bill, distributor.tax_name)
