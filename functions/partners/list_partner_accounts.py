"""GET /v1/partners/{partner_id}/accounts

The accounts of one partner, or, with `direct`, of the distributor itself.
"""

from portal.accounts import listing, views
from portal.accounts.records import list_accounts
from portal.billing.standing import load_standings
from portal.operation import DISTRIBUTORS, Call, operation
from portal.paging import Page
from portal.partners.records import get_account_parent
from portal.permissions import Permission


@operation(Permission.DASHBOARD_VIEW, portals=DISTRIBUTORS)
def handler(call: Call, query: listing.AccountsQuery) -> Page[views.AccountRow]:
    under = get_account_parent(call.scope, call.path["partner_id"])
    accounts = list(list_accounts(call.scope, under))
    standings = load_standings(call.scope, call.caller.portal, accounts, call.now.date())
    chosen = listing.chosen(accounts, query, call.now, standings)
    sort_by = listing.sort_key(query.sort)
    return call.page(chosen, query, key=sort_by, show=views.row, descending=query.descending)
