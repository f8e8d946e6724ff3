"""POST /v1/accounts

Adds a customer account, under the partner whose portal this is or direct under the distributor, and invites
its first administrator. It begins as the portal's default subscription says, unless the request names
another.
"""

from pydantic import BaseModel

from portal import ids
from portal.access import admitted
from portal.accounts import actions, records, views
from portal.fields import Name
from portal.identity.actions import invite
from portal.identity.emails import Email
from portal.operation import RESELLERS, Call, operation
from portal.permissions import Permission
from portal.subscriptions.actions import first_renewal
from portal.subscriptions.records import get_default
from portal.subscriptions.rules import DefaultSubscription, begin
from portal.table import Put


class NewAccount(BaseModel, extra="forbid"):
    name: Name
    email: Email
    data_center: Name | None = None
    subscription: DefaultSubscription | None = None


@operation(Permission.ACCOUNTS_ADD, portals=RESELLERS, status=201)
def handler(call: Call, body: NewAccount) -> views.Account:
    portal = call.caller.portal
    node = records.where_listed(portal).child(ids.new("acc", call.now))
    beginning = begin(body.subscription or get_default(call.scope, portal).default, call.now)
    account = records.new_account(node, body.name, body.email, body.data_center, call.now, beginning)
    invitation = invite(node, body.email, body.name, call.now, of_tenant=True)
    call.commit(
        Put(account),
        *(Put(each) for each in actions.companions_of(account)),
        *first_renewal(account, beginning),
        *actions.counted_in(call.scope, node),
        *invitation.writes,
        *admitted(call.caller, account.account_id),
        audit=actions.creation_entries(portal, account),
        send=invitation.messages,
    )
    return views.account(account, call.now, actions.standing_of(call, account))
