"""GET /v1/dashboard

Sums over the accounts that the caller may see: how many, how large, how their trials and backups stand, and,
in a distributor's portal, what is owed.
"""

from portal.accounts.records import list_accounts, where_listed
from portal.billing.standing import load_owed
from portal.dashboard import records, rules, views
from portal.distributors.records import get_distributor
from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission
from portal.tree import Tier


@operation(Permission.DASHBOARD_VIEW, portals=RESELLERS)
def handler(call: Call) -> views.Dashboard:
    portal, limited = call.caller.portal, call.scope.accessible is not None
    rollups = []
    if portal.tier is Tier.DISTRIBUTOR:
        rollups = list(records.list_rollups(call.scope, portal))
    elif not limited and (rollup := records.find_rollup(call.scope, portal)):
        rollups = [rollup]
    sums = rules.total(rollup.sums for rollup in rollups)
    if limited:
        # Sums tell of all accounts of a partner, so single accounts are counted one by one.
        accounts = list_accounts(call.scope, where_listed(portal))
        sums = rules.add(sums, rules.total(map(rules.contribution, accounts)))
    owed = None
    if call.caller.sees_money:
        currency = get_distributor(call.scope, portal.distributor).currency
        owed = load_owed(call.scope, portal, currency)
    return views.dashboard(sums, owed)
