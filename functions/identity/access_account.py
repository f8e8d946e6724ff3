"""POST /v1/accounts/{account_id}/access

Enters the account's portal: answers tokens that speak for it and still name the acting user. Audited in both
portals.
"""

from portal.accounts import records, rules
from portal.identity import actions, views
from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission


@operation(Permission.DASHBOARD_VIEW, portals=RESELLERS)
def handler(call: Call) -> views.Tokens:
    account = records.get_account(call.scope, call.path["account_id"])
    rules.check_open(account)
    opened = actions.enter(call.caller, account.node, call.origin)
    call.commit(*opened.writes, audit=actions.accessed(call.caller, account.node, account.email))
    return opened.tokens
