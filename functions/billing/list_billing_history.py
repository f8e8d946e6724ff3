"""GET /v1/billing/history

The bills that were issued: consolidated ones and annual invoices, by default the latest first.
"""

from portal.billing import history, views
from portal.billing.history import HistoryQuery
from portal.operation import DISTRIBUTORS, Call, operation
from portal.paging import Page
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call, query: HistoryQuery) -> Page[views.HistoryRow]:
    today = call.now.date()
    bills = {
        bill.reference: bill for bill in history.list_history(call.scope, call.caller.portal, query, today)
    }
    page = call.page(
        bills.values(),
        query,
        key=lambda bill: history.sort_key(bill, query.sort),
        show=lambda bill: views.history_row(bill, today),
        descending=query.descending,
    )
    return views.named(page, history.account_names(call.scope, (bills[row.reference] for row in page.items)))
