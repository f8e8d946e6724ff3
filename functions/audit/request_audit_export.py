"""POST /v1/audit/export

Asks for the audit trail as CSV: the entries that pass the same filters as those of the list, newest first, up to now.
It is written in the background, tells of what you may see then, and is mailed to you, as an attachment (up to 7 MB) or
as a link. It can be downloaded for 30 days.
"""

from portal.audit import records, rules, views
from portal.audit.filters import AuditFilters
from portal.journal import Activity, Entry
from portal.operation import ANYBODY, Call, operation
from portal.permissions import Permission
from portal.table import Put


@operation(Permission.AUDIT_VIEW, portals=ANYBODY, status=202)
def handler(call: Call, body: AuditFilters) -> views.AuditExport:
    rules.admit(records.list_exports(call.scope, call.caller.user_id), call.now)
    export = records.new_export(call.caller, body, call.now)
    entry = Entry(Activity.NOTIFICATION, call.caller.portal, "Export of the audit trail requested")
    call.commit(Put(export), audit=[entry], send=[export.wanted(turn=0)])
    return views.export(export, call.now)
