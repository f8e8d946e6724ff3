"""GET /v1/billing/forecast

The distributor's next bill as its usage has it: the running period of its monthly accounts, the annual ones
that renew or have grown until its end, and the tax. Of more than 1,000 accounts it is the one that was made last
night, and says so.
"""

from portal.billing import outlook, prices, views
from portal.distributors.records import get_distributor
from portal.forecasts import nightly
from portal.operation import DISTRIBUTORS, Call, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call) -> views.BillForecast:
    distributor = get_distributor(call.scope, call.caller.portal.distributor)
    next_bill = None
    if nightly.is_large(call.scope, distributor.node):
        next_bill = nightly.load(call.scope, distributor)
    if next_bill is None:
        books = prices.books(call.scope, distributor.node)
        next_bill = outlook.load_next_bill(call.scope, distributor, books, call.now)
    return views.bill_forecast(next_bill, distributor.tax_name)
