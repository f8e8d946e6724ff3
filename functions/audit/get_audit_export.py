"""GET /v1/audit/exports/{export_id}

An export of this portal's audit trail: how far it is and, once it is ready, a link that downloads it for five minutes.
Users who see a list of accounts only get their own exports, and no link when one tells of accounts that they may not
see any more; they ask for a new one then.
"""

from portal.audit import export, records, views
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission


@operation(Permission.AUDIT_VIEW, portals=ANYBODY)
def handler(call: Call) -> views.AuditExport:
    stored = records.get_export(call.scope, call.path["export_id"], call.caller.user_id, call.now)
    return views.export(stored, call.now, export.find_link(stored, call.scope))
