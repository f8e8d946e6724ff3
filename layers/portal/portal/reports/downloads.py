"""The link to a finished report."""

from portal.adapters import files
from portal.reports import rules, selection
from portal.reports.records import Report
from portal.scope import Scope


def find_link(report: Report, scope: Scope) -> str | None:
    """A short-lived link for a requester with this scope; None when there is no file for it.

    A limited user's list of accounts may have become shorter since: then the file holds more than it may see.
    """
    if report.state != "ready":
        return None
    if scope.accessible is not None and not all(map(scope.covers, selection.nodes_of(report))):
        return None
    return files.link(report.file_key, file_name=report.file_name, seconds=rules.LINK_SECONDS)
