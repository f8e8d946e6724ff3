"""PATCH /v1/settings/account

Changes what is given and leaves the rest; null takes the address or the phone away. A new e-mail address counts once it
is confirmed by the link that is mailed there; the users keep theirs.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal.fields import Line, Name, Phone
from portal.identity.email_changes import tenant_requested
from portal.identity.emails import Email
from portal.journal import Activity, Entry
from portal.operation import Call, operation
from portal.permissions import Permission
from portal.table import Update
from portal.tenants import rules, views
from portal.tenants.actions import get_tenant


class AccountSettingsChanges(BaseModel, extra="forbid"):
    email: Email = ""
    name: Name = ""
    office_address: Annotated[list[Line], Field(max_length=6)] | None = Field(None, alias="address")
    phone: Phone | None = None


@operation(Permission.SETTINGS_MANAGE)
def handler(call: Call, body: AccountSettingsChanges) -> views.AccountSettings:
    tenant = get_tenant(call.scope, call.caller.portal)
    asked = tenant_requested(tenant, body.email, call.now)
    change = rules.change(tenant, body.model_dump(exclude_unset=True, exclude={"email"})) | asked.change
    if change:
        activity = Activity.CHANGED_ACCOUNT_NAME if "name" in change else Activity.SETTINGS_CHANGED
        entry = Entry(activity, tenant.node, rules.described(tenant, change), tenant.email, tenant.node)
        call.commit(Update(tenant, change), audit=[entry], send=asked.messages)
    return views.account_settings(tenant)
