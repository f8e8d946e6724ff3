"""POST /v1/security/ip-restrictions/entries

Adds addresses from which users of this portal may come: `addresses` (up to 50, IPv4 or IPv6, with commas between them)
or a range `from` ... `to`. A network is given as a range. The first entry turns the restriction on. While it is on, the
entries cover the address that you come from: otherwise 409 `own_address_not_covered`, which names that address. At most
100 entries. The portal's administrators are told by mail.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from portal import ids
from portal.fields import Line
from portal.identity import ip_changes, ip_restrictions, ip_views, records
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission

Addresses = Annotated[str, Field(max_length=ip_restrictions.LONGEST_LIST)]
Address = Annotated[str, Field(max_length=ip_restrictions.LONGEST_ADDRESS)]


class NewIpEntry(BaseModel, extra="forbid"):
    addresses: Addresses = ""
    from_: Address = Field("", alias="from")
    to: Address = ""
    description: Line = ""


@operation(Permission.SECURITY_MANAGE, portals=ANYBODY, status=201, people_only=True)
def handler(call: Call, body: NewIpEntry) -> ip_views.IpEntry:
    security = records.find_security(call.caller.portal)
    given = body.model_dump(exclude_unset=True, by_alias=True)
    entry = ip_restrictions.entry(ids.new("ipr", call.now), given, call.now)
    change = ip_restrictions.add(security, entry, address=call.address)
    ip_changes.commit(call, security, change, f"Added the IP entry {ip_restrictions.said(entry)}")
    return ip_views.ip_entry(entry)
