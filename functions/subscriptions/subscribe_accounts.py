"""POST /v1/accounts/subscribe

Subscribes accounts from today on: those on trial, and those whose trial has expired while their data is still
there. The answer says for each what happened; one that is subscribed already stays as it is. `all` means the
accounts that this portal lists, for a distributor its direct ones. Where there are more than one call has
time for, the rest is `not_reached`: ask again for those, with another Idempotency-Key.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from portal.accounts.records import find_account_nodes, list_accounts, where_listed
from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission
from portal.subscriptions import actions, views
from portal.subscriptions.rules import Plan

AccountId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,64}$")]


class Subscribing(BaseModel, extra="forbid"):
    plan: Plan
    accounts: Literal["all"] | Annotated[list[AccountId], Field(min_length=1, max_length=5000)]


@operation(Permission.ACCOUNTS_SUBSCRIBE, portals=RESELLERS)
def handler(call: Call, body: Subscribing) -> views.SubscribeResults:
    portal = call.caller.portal
    if body.accounts == "all":
        listed = list_accounts(call.scope, where_listed(portal))
        nodes = {account.account_id: account.node for account in listed}
        asked = sorted(nodes)
    else:
        asked = list(dict.fromkeys(body.accounts))
        nodes = find_account_nodes(call.scope, asked)
    known = [nodes[account_id] for account_id in asked if account_id in nodes]
    outcomes = actions.subscribe_many(call, known, body.plan)
    return views.subscribe_results({each: outcomes.get(each, "not_found") for each in asked})
