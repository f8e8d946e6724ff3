"""GET /v1/security/ip-restrictions

Whether users of this portal may come from its listed addresses only, and the list, oldest entry first. Also the address
that you come from, which any restriction has to cover.
"""

from portal.identity import ip_views, records
from portal.operation import ANYBODY, Call, operation
from portal.paging import PageQuery
from portal.permissions import Permission


@operation(Permission.SECURITY_MANAGE, portals=ANYBODY)
def handler(call: Call, query: PageQuery) -> ip_views.IpRestrictions:
    security = records.find_security(call.caller.portal)
    page = call.page(
        security.ip_entries if security else [],
        query,
        key=lambda entry: (entry["entry_id"],),
        show=ip_views.ip_entry,
    )
    enabled = security is not None and security.ip_restricted
    return ip_views.ip_restrictions(page, enabled=enabled, address=call.address)
