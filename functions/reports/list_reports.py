"""GET /v1/reports

The usage reports you asked for in this portal during the last 30 days, latest first.
"""

from portal.operation import Call, operation
from portal.paging import Page, PageQuery
from portal.permissions import Permission
from portal.reports import records, views
from portal.streamed_files.rules import kept


@operation(Permission.REPORTS_EXPORT)
def handler(call: Call, query: PageQuery) -> Page[views.UsageReport]:
    stored = records.list_reports(call.scope, call.caller.user_id)
    return call.page(
        (report for report in stored if kept(report, call.now)),
        query,
        key=lambda report: (report.report_id,),
        show=lambda report: views.report(report, call.now),
        descending=True,
    )
