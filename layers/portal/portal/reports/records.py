"""Usage reports that were asked for."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pynamodb.attributes import UnicodeAttribute

from portal import ids, keys
from portal.errors import NotFound
from portal.permissions import Permission
from portal.scope import Caller, Scope
from portal.streamed_files import rules
from portal.streamed_files.records import StreamedFile
from portal.table import JsonAttribute, find, query


class Report(StreamedFile, discriminator="report"):
    """A usage report of a portal. Only whoever asked, with the accounts it may see, gets it."""

    called = "report"
    stem = "usage-report"
    suffix = "zip"
    pages = "/reports/"
    queue = "Reports"
    id_name = "report_id"
    permission = Permission.REPORTS_EXPORT

    report_id = UnicodeAttribute()
    wanted_accounts = JsonAttribute(attr_name="wanted")
    """`{"account_ids": [...]}`, or `{"filters": {...}}` with the parameters of the account list."""
    delivery = UnicodeAttribute()
    """`attachment` or `link`."""

    @property
    def selection_key(self) -> str:
        """The accounts that it covers, chosen when the first turn began (`portal.reports.selection`)."""
        return f"{self.folder}selection.json"


def requested(by: Caller, wanted: dict[str, Any], delivery: str, at: datetime) -> Report:
    """A new report for the portal that the caller speaks for."""
    report_id = ids.new("rep", at)
    return Report(
        keys.node(by.portal),
        keys.report(report_id),
        report_id=report_id,
        state="waiting",
        requested_by=by.user_id,
        requested_from=str(by.home),
        wanted_accounts=wanted,
        delivery=delivery,
        created_at=at,
        touched_at=at,
    )


def get_report(scope: Scope, report_id: str, requested_by: str, now: datetime) -> Report:
    """A report of the portal at the scope's top, for the user who asked for it.

    Raises:
        NotFound: there is none, somebody else asked for it, or it is no longer kept.
    """
    report = find_report(scope, report_id)
    if report is None or report.requested_by != requested_by or not rules.kept(report, now):
        raise NotFound
    return report


def find_report(scope: Scope, report_id: str) -> Report | None:
    """A report of the portal at the scope's top, whoever asked for it."""
    return find(Report, keys.node(scope.top), keys.report(report_id))


def list_reports(scope: Scope, requested_by: str) -> Iterator[Report]:
    """A user's reports of the portal at the scope's top, latest first."""
    found = query(Report, keys.node(scope.top), keys.report(), newest_first=True)
    return (report for report in found if report.requested_by == requested_by)
