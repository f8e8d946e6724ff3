"""DELETE /v1/security/ip-restrictions/entries/{entry_id}

Takes an entry away. Refused with 409 `own_address_not_covered` when the restriction is on and no entry would cover the
address that you come from; so the last one goes only after the restriction was turned off. The portal's administrators
are told by mail.
"""

from portal.identity import ip_changes, ip_restrictions, records
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission


@operation(Permission.SECURITY_MANAGE, portals=ANYBODY, people_only=True)
def handler(call: Call) -> None:
    security = records.find_security(call.caller.portal)
    entry = ip_restrictions.get_entry(security, call.path["entry_id"])
    change = ip_restrictions.remove(security, entry["entry_id"], address=call.address)
    ip_changes.commit(call, security, change, f"Deleted the IP entry {ip_restrictions.said(entry)}")
