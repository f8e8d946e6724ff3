"""POST /v1/partners

Adds a partner and invites its first administrator, with the partner's e-mail address, to the partner's new
portal.
"""

from pydantic import BaseModel

from portal import ids, keys
from portal.access import admitted
from portal.distributors.records import get_distributor
from portal.fields import Country, Name, OwnCode
from portal.identity.actions import invite
from portal.identity.emails import Email
from portal.journal import Activity, Entry
from portal.operation import DISTRIBUTORS, Call, operation
from portal.partners import records, rules, views
from portal.permissions import Permission
from portal.table import Put


class NewPartner(BaseModel, extra="forbid"):
    name: Name
    email: Email
    country: Country
    contact_person: Name | None = None
    partner_id: OwnCode | None = None
    data_center: Name | None = None


@operation(Permission.ACCOUNTS_ADD, portals=DISTRIBUTORS, status=201)
def handler(call: Call, body: NewPartner) -> views.Partner:
    rules.may_have_partners(get_distributor(call.scope, call.caller.portal.distributor))
    generated = ids.new("prt", call.now)
    partner = records.Partner(
        keys.node(call.caller.portal.child(generated)),
        keys.NODE,
        partner_code=rules.own_code(body.partner_id, generated),
        created_at=call.now,
        **body.model_dump() | {"partner_id": generated},
    )
    invitation = invite(partner.node, body.email, body.contact_person or body.name, call.now, of_tenant=True)
    call.commit(
        Put(partner),
        Put(records.partner_code(partner, partner.partner_code), taken=rules.PartnerIdTaken),
        *invitation.writes,
        *admitted(call.caller, generated),
        audit=[
            Entry(
                Activity.PARTNER_CREATED,
                call.caller.portal,
                f"Created partner {body.name}",
                body.email,
                partner.node,
            )
        ],
        send=invitation.messages,
    )
    return views.partner(partner)
