"""DELETE /v1/accounts/{account_id}

Ends the account: today is the first day that is not billed, and the engine is told to purge. Everything of it
is deleted once the engine has done so, except for issued bills and the audit trail. It needs the explicit
approval.
"""

from typing import Literal

from pydantic import BaseModel

from portal.accounts import actions, records, rules, views
from portal.engine.commands import purge_account
from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission


class Removal(BaseModel, extra="forbid"):
    approve_data_removal: Literal[True]


@operation(Permission.ACCOUNTS_REMOVE, portals=RESELLERS)
def handler(call: Call, body: Removal) -> views.Account:
    account = records.get_account(call.scope, call.path["account_id"])
    change = rules.remove(account, call.now)
    entries = actions.removal_entries(call.caller.portal, account, change)
    call.commit(*actions.ended(account, change), audit=entries, send=[purge_account(account.node)])
    return views.account(account, call.now, actions.standing_of(call, account))
