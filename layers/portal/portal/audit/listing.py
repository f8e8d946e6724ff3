"""Going through the audit trail."""

from collections.abc import Iterator

from portal.audit import records, rules
from portal.audit.filters import AuditFilters
from portal.journal import AuditEntry
from portal.paging import PageQuery
from portal.scope import Scope

_AT_ONCE = 200


class AuditQuery(AuditFilters, PageQuery):
    """A page of the audit trail."""


def examined(
    scope: Scope, filters: AuditFilters, behind: str, wanted: int = _AT_ONCE
) -> Iterator[tuple[str, AuditEntry | None]]:
    """Every entry that is read, newest first: its place, and itself if it is wanted and may be seen.

    `wanted` is how many the caller would like to have: no more are read where none is passed over.
    """
    at_once = min(wanted, _AT_ONCE) if rules.finds_only_wanted(scope, filters) else _AT_ONCE
    for entry in records.list_entries(scope, filters, behind=behind, at_once=at_once):
        shown = rules.is_wanted(entry, filters) and rules.may_see(scope, entry)
        yield entry.sk, entry if shown else None
