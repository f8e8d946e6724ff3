"""GET /v1/accounts

The accounts of a partner, or a distributor's direct ones, with their trial or subscription and how their
backups went.
"""

from portal.accounts import listing, records, views
from portal.accounts.listing import AccountsQuery
from portal.billing.standing import load_standings
from portal.operation import RESELLERS, Call, operation
from portal.paging import Page
from portal.permissions import Permission


@operation(Permission.DASHBOARD_VIEW, portals=RESELLERS)
def handler(call: Call, query: AccountsQuery) -> Page[views.AccountRow]:
    portal = call.caller.portal
    listing.check_money(query, call.caller.sees_money)
    accounts = list(records.list_accounts(call.scope, records.where_listed(portal)))
    standings = None
    if call.caller.sees_money:
        standings = load_standings(call.scope, portal.distributor_node, accounts, call.now.date())
    rows = listing.chosen(accounts, query, call.now, standings)
    return call.page(
        rows, query, key=listing.sort_key(query.sort), show=views.row, descending=query.descending
    )
