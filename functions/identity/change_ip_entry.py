"""PATCH /v1/security/ip-restrictions/entries/{entry_id}

Changes what is given and leaves the rest: `addresses` take the place of a range and the other way round. Refused with
409 `own_address_not_covered` when the restriction is on and no entry would cover the address that you come from. The
portal's administrators are told by mail.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal.fields import Line
from portal.identity import ip_changes, ip_restrictions, ip_views, records
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission

Addresses = Annotated[str, Field(max_length=ip_restrictions.LONGEST_LIST)]
Address = Annotated[str, Field(max_length=ip_restrictions.LONGEST_ADDRESS)]


class IpEntryChanges(BaseModel, extra="forbid"):
    addresses: Addresses = ""
    from_: Address = Field("", alias="from")
    to: Address = ""
    description: Line = ""


@operation(Permission.SECURITY_MANAGE, portals=ANYBODY, people_only=True)
def handler(call: Call, body: IpEntryChanges) -> ip_views.IpEntry:
    security = records.find_security(call.caller.portal)
    before = ip_restrictions.get_entry(security, call.path["entry_id"])
    entry = ip_restrictions.edited(before, body.model_dump(exclude_unset=True, by_alias=True))
    if entry != before:
        change = ip_restrictions.replace(security, entry, address=call.address)
        told = f"{ip_restrictions.said(before)}: now {ip_restrictions.said(entry)}"
        ip_changes.commit(call, security, change, f"Changed the IP entry {told}")
    return ip_views.ip_entry(entry)
