"""GET /v1/billing/status

Every account of the distributor, its partners' too: where it stands with its bills, when it renews, what it
owes and what its next payment is expected to be.
"""

from portal.accounts import listing
from portal.accounts.records import list_all_accounts
from portal.billing import outlook, prices, status_list, views
from portal.billing.standing import load_standings
from portal.operation import DISTRIBUTORS, Call, operation
from portal.paging import Page
from portal.partners.records import find_partners_at
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call, query: status_list.StatusQuery) -> Page[views.StatusRow]:
    portal = call.caller.portal
    accounts = list(list_all_accounts(call.scope, portal))
    standings = load_standings(call.scope, portal, accounts, call.now.date(), last_paid=False)
    rows = [
        listed
        for listed in listing.chosen(accounts, query, call.now, standings)
        if status_list.admits(query, listed, call.now)
    ]
    page = call.page(
        rows,
        query,
        key=status_list.sort_key(query.sort, call.now),
        show=lambda listed: views.status_row(listed, call.now),
        descending=query.descending,
    )
    on_page = {row.account_id for row in page.items}
    shown = [account for account in accounts if account.account_id in on_page]
    partners = find_partners_at(call.scope, (account.node.partner_node for account in shown))
    books = prices.books(call.scope, portal)
    outlooks = outlook.load_account_outlooks(call.scope, portal, shown, books, call.now)
    names = {partner.partner_id: partner.name for partner in partners.values()}
    return views.completed(page, names, outlooks)
