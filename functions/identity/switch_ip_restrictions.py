"""PUT /v1/security/ip-restrictions

Turns the restriction on or off; its entries stay. It cannot be turned on unless an entry covers the address that you
come from: 409 `own_address_not_covered`, which names that address. The portal's administrators are told by mail.
"""

from pydantic import BaseModel, StrictBool

from portal.identity import ip_changes, ip_restrictions, ip_views, records
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission


class SwitchedTo(BaseModel, extra="forbid"):
    enabled: StrictBool


@operation(Permission.SECURITY_MANAGE, portals=ANYBODY, people_only=True)
def handler(call: Call, body: SwitchedTo) -> ip_views.IpRestrictionSwitch:
    security = records.find_security(call.caller.portal)
    if body.enabled is not ip_restrictions.is_on(security):
        change = ip_restrictions.switch(security, restricted=body.enabled, address=call.address)
        what = f"Turned the IP restriction {'on' if body.enabled else 'off'}"
        ip_changes.commit(call, security, change, what)
    return ip_views.IpRestrictionSwitch(enabled=body.enabled)
