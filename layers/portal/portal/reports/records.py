"""Usage reports that were asked for."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from portal import ids, keys
from portal.errors import NotFound
from portal.reports import rules
from portal.scope import Caller, Scope
from portal.table import InstantAttribute, Item, JsonAttribute, find, query
from portal.tree import Node


class Report(Item, discriminator="report"):
    """A usage report of a portal. `state` is `waiting`, `running`, `ready` or `failed`."""

    report_id = UnicodeAttribute()
    state = UnicodeAttribute()
    requested_by = UnicodeAttribute()
    """User id; only whoever asked, with the accounts it may see, gets the report."""
    requested_from = UnicodeAttribute()
    """Node of the requester's own portal: another one, when it entered this portal from above."""
    wanted = JsonAttribute()
    """`{"account_ids": [...]}`, or `{"filters": {...}}` with the parameters of the account list."""
    delivery = UnicodeAttribute()
    """`attachment` or `link`."""
    turn = NumberAttribute(default=0)
    """How many invocations have done their part; a message for an earlier turn comes too late."""
    attempts = NumberAttribute(default=0)
    """How often the present turn was begun."""
    claims = NumberAttribute(default=0)
    """How often any turn was begun: whoever finds another number than its own has been overtaken."""
    progress = JsonAttribute(null=True)
    """Where the writer stands (`portal.reports.progress.Progress`); none before the end of the first turn."""
    rows = NumberAttribute(default=0)
    size_bytes = NumberAttribute(default=0)
    failure = UnicodeAttribute(null=True)
    """Why it failed, in words for the requester."""
    touched_at = InstantAttribute()
    """When it was asked for, or last worked on."""
    finished_at = InstantAttribute(null=True)

    @property
    def folder(self) -> str:
        """Where its files are, below the folder of the portal's reports."""
        return f"{folder_of(self.node)}{self.report_id}/"

    @property
    def file_key(self) -> str:
        return f"{self.folder}usage-report.zip"

    @property
    def tails(self) -> str:
        """The folder of what does not fill a part of the upload yet, while the report is being written."""
        return f"{self.folder}tail/"

    @property
    def selection_key(self) -> str:
        """The accounts that it covers, chosen when the first turn began (`portal.reports.selection`)."""
        return f"{self.folder}selection.json"

    @property
    def file_name(self) -> str:
        """What a browser saves it as."""
        return f"usage-report-{self.created_at:%Y-%m-%d}.zip"


def folder_of(node: Node) -> str:
    """The folder that holds the reports of a tenant's portal and of those below it."""
    return f"reports/{node}/"


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
        wanted=wanted,
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
