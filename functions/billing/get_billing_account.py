"""GET /v1/billing/accounts/{account_id}

All that billing knows of one account: its subscription, what it owes on which bills, what was paid last, what
its next payment is expected to be, and at which prices.
"""

from portal.accounts.listing import Listed
from portal.accounts.records import get_account
from portal.accounts.rules import account_status
from portal.billing import outlook, prices, views
from portal.billing.standing import load_open_lines, load_standings
from portal.operation import DISTRIBUTORS, Call, operation
from portal.partners.records import find_partners_at
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call) -> views.AccountBilling:
    portal, today = call.caller.portal, call.now.date()
    account = get_account(call.scope, call.path["account_id"])
    standing = load_standings(call.scope, portal, [account], today)[account.account_id]
    open_lines = load_open_lines(call.scope, portal, today, only=account.account_id.__eq__, with_lines=True)
    partner = find_partners_at(call.scope, [account.node.partner_node]).get(account.node.partner_node)
    books = prices.books(call.scope, portal)
    outlooks = outlook.load_account_outlooks(call.scope, portal, [account], books, call.now)
    return views.account_billing(
        Listed(account, account_status(account, call.now), standing),
        standing,
        open_lines.get(account.account_id, []),
        partner.name if partner else None,
        outlooks.get(account.account_id),
        prices.in_effect(books, today),
        call.now,
    )
