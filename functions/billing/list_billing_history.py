"""GET /v1/billing/history

The bills that were issued: consolidated ones and annual invoices, by default the latest first. In that order a page can
hold fewer bills than asked for, even none, and still have a `next_cursor`: one request looks through 1,000 bills at most,
and the cursor goes on behind them; `total` is null unless one page holds everything, because counting would read them
all; and a bill appears within seconds.
"""

from portal.billing import history, views
from portal.billing.history import HistoryQuery
from portal.billing.records import Bill
from portal.operation import DISTRIBUTORS, Call, operation
from portal.paging import LongPage
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call, query: HistoryQuery) -> LongPage[views.HistoryRow]:
    scope, distributor, today = call.scope, call.caller.portal, call.now.date()
    shown: list[Bill] = []

    def show(bill: Bill) -> views.HistoryRow:
        shown.append(bill)
        return views.history_row(bill, today)

    if query.is_as_issued:
        page = call.long_page(
            lambda behind: history.examined(scope, distributor, query, today, behind),
            query,
            show=show,
            most_examined=history.MOST_EXAMINED,
        )
    else:
        page = call.page(
            history.list_history(scope, distributor, query, today),
            query,
            key=lambda bill: history.sort_key(bill, query.sort),
            show=show,
            descending=query.descending,
        )
    return views.named(page, history.account_names(scope, shown))
