"""The link to a finished report."""

from portal.adapters import files
from portal.adapters.files import NoSuchFile
from portal.reports import selection
from portal.reports.records import Report
from portal.scope import Scope
from portal.streamed_files import rules


def find_link(report: Report, scope: Scope) -> str | None:
    """A short-lived link for a requester with this scope; None when there is no file for it.

    A limited user's list of accounts may have become shorter since: then the file holds more than it may see.
    """
    if report.state != "ready" or not _may_see_all(report, scope):
        return None
    return files.link(report.file_key, file_name=report.file_name, seconds=rules.LINK_SECONDS)


def _may_see_all(report: Report, scope: Scope) -> bool:
    if scope.accessible is None:
        return True
    try:
        return all(map(scope.covers, selection.nodes_of(report)))
    except NoSuchFile:
        # On its last day the bucket may have deleted it already; what it held can no longer be told.
        return False
