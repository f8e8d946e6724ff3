"""GET /v1/partners

The distributor's partners with their accounts' total size, task status, billing status and what they owe
(or, owing nothing, paid last). The first row is "Direct Accounts": the distributor's own, which belong to no
partner.
"""

from portal.operation import DISTRIBUTORS, Call, operation
from portal.paging import Page
from portal.partners import listing, views
from portal.permissions import Permission


@operation(Permission.DASHBOARD_VIEW, portals=DISTRIBUTORS)
def handler(call: Call, query: listing.PartnersQuery) -> Page[views.PartnerRow]:
    distributor, today = call.caller.portal, call.now.date()
    rows = list(listing.list_rows(call.scope, distributor))
    money = listing.load_all_money(call.scope, distributor, rows, today) if query.needs_money else {}
    page = call.page(
        (row for row in rows if listing.admits(query, row, money)),
        query,
        key=listing.sort_key(query, money),
        show=views.row,
        descending=query.descending,
    )
    if not query.needs_money:
        shown = [distributor.child(row.id) for row in page.items]
        money = listing.load_money(call.scope, distributor, shown, today)
    return views.with_money(page, distributor, money)
