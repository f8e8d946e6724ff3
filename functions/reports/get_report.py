"""GET /v1/reports/{report_id}

One of the usage reports you asked for in this portal: how far it is and, once it is ready, a link that
downloads it for five minutes. There is no link when it covers accounts that you may not see any more; ask
for a new report then.
"""

from portal.operation import Call, operation
from portal.permissions import Permission
from portal.reports import downloads, records, views


@operation(Permission.REPORTS_EXPORT)
def handler(call: Call) -> views.UsageReport:
    report = records.get_report(call.scope, call.path["report_id"], call.caller.user_id, call.now)
    return views.report(report, call.now, downloads.find_link(report, call.scope))
