"""PATCH /v1/accounts/{account_id}

Renames an account, or moves one without tasks and data to another data center. A new e-mail address counts once it is
confirmed by the link that is mailed there; the account's users keep theirs. What is left out, or null, stays.
"""

from pydantic import BaseModel

from portal.accounts import actions, records, rules, views
from portal.fields import Name
from portal.identity.email_changes import tenant_requested
from portal.identity.emails import Email
from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission
from portal.table import Update


class AccountChange(BaseModel, extra="forbid"):
    name: Name | None = None
    email: Email | None = None
    data_center: Name | None = None


@operation(Permission.ACCOUNTS_ADD, portals=RESELLERS)
def handler(call: Call, body: AccountChange) -> views.Account:
    account = records.get_account(call.scope, call.path["account_id"])
    change = rules.change(account, name=body.name, data_center=body.data_center)
    asked = tenant_requested(account, body.email or "", call.now)
    change |= asked.change
    if change:
        entries = actions.change_entries(call.caller.portal, account, change)
        call.commit(Update(account, change), audit=entries, send=asked.messages)
    return views.account(account, call.now, actions.standing_of(call, account))
