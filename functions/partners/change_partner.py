"""PATCH /v1/partners/{partner_id}

Changes what is given and leaves the rest. Null takes the contact person or data center away, and gives the
partner its generated Partner ID back. A new e-mail address counts once it is confirmed by the link that is mailed
there; the partner's users keep theirs.
"""

from pydantic import BaseModel, Field

from portal.fields import Country, Name, OwnCode
from portal.identity.email_changes import tenant_requested
from portal.identity.emails import Email
from portal.journal import Activity, Entry
from portal.operation import DISTRIBUTORS, Call, operation
from portal.partners import records, rules, views
from portal.permissions import Permission
from portal.table import Delete, Put, Update


class PartnerChanges(BaseModel, extra="forbid"):
    name: Name = ""
    email: Email = ""
    country: Country = ""
    contact_person: Name | None = None
    partner_code: OwnCode | None = Field(None, alias="partner_id")
    data_center: Name | None = None


@operation(Permission.ACCOUNTS_ADD, portals=DISTRIBUTORS)
def handler(call: Call, body: PartnerChanges) -> views.Partner:
    partner = records.get_partner(call.scope, call.path["partner_id"])
    change = rules.change(partner, body.model_dump(exclude_unset=True, exclude={"email"}))
    asked = tenant_requested(partner, body.email, call.now)
    change |= asked.change
    if not change:
        return views.partner(partner)
    if rules.needs_another_code(partner, change):
        present = records.find_partner_code(partner)
        code = records.partner_code(partner, change["partner_code"])
        call.commit(*([Delete(present)] if present else []), Put(code, taken=rules.PartnerIdTaken))
    activity = Activity.CHANGED_ACCOUNT_NAME if "name" in change else Activity.SETTINGS_CHANGED
    said = rules.described(partner, change)
    entry = Entry(activity, call.caller.portal, said, partner.email, partner.node)
    call.commit(Update(partner, change), audit=[entry], send=asked.messages)
    return views.partner(partner)
