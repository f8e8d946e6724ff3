"""Writing the audit trail as CSV, and the link to what was written."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

import orjson

from portal.adapters import files
from portal.adapters.files import NoSuchFile
from portal.audit import listing, views
from portal.audit.filters import AuditFilters
from portal.audit.records import AuditExport
from portal.csv_cells import Cell
from portal.journal import AuditEntry
from portal.scope import Scope
from portal.streamed_files import rules, writing
from portal.streamed_files.writing import Content, PlainStream, Step

if TYPE_CHECKING:
    from portal.consumer import Work

HEADER = (
    "Date (UTC)",
    "Activity",
    "Status",
    "Portal",
    "Account",
    "Performed By",
    "Performed From",
    "Performed With API Key",
    "Description",
)


def go_on(work: "Work", export: AuditExport) -> None:
    """Do a claimed turn's part of the writing."""

    def content(scope: Scope, from_the_beginning: bool) -> Content:
        seen = _begun(export, scope) if from_the_beginning else _narrowed(export, scope)
        return Content(
            header=HEADER,
            content_type="text/csv; charset=utf-8",
            stream=lambda state: PlainStream(),
            steps=lambda where: _steps(export, seen, where),
        )

    writing.go_on(work, export, content, "audit_export", attached=True)


def find_link(export: AuditExport, scope: Scope) -> str | None:
    """A short-lived link for somebody with this scope; None when there is no file for it."""
    if export.state != "ready" or not _may_see_all(export, scope):
        return None
    return files.link(export.file_key, file_name=export.file_name, seconds=rules.LINK_SECONDS)


def line(entry: AuditEntry) -> list[Cell]:
    at = entry.created_at.astimezone(UTC)
    return [
        f"{at:%Y-%m-%d %H:%M:%S}",
        entry.activity,
        entry.status,
        views.portal_of(entry),
        entry.account,
        entry.performed_by,
        entry.performed_from,
        entry.performed_with,
        entry.description,
    ]


def _steps(export: AuditExport, scope: Scope, where: Mapping[str, Any]) -> Iterator[Step]:
    filters = AuditFilters.model_validate(export.filters)
    if filters.until is None or filters.until > export.created_at:
        # What is written meanwhile does not come in, so there is an end.
        filters = filters.model_copy(update={"until": export.created_at})
    for place, entry in listing.examined(scope, filters, where.get("behind", "")):
        yield Step({"behind": place}, line(entry) if entry else None)


# What a limited user may see can change while an export is written, and afterwards. The first turn keeps what the file
# may tell of; the later ones see no more than that, and nobody who sees less gets the link.


def _begun(export: AuditExport, scope: Scope) -> Scope:
    seen = None if scope.accessible is None else sorted(scope.accessible)
    files.put(export.seen_key, orjson.dumps(seen), "application/json")
    return scope


def _narrowed(export: AuditExport, scope: Scope) -> Scope:
    seen = _seen(export)
    if seen is None or scope.accessible is None:
        return Scope(scope.top, scope.accessible if seen is None else seen)
    return Scope(scope.top, seen & set(scope.accessible))


def _may_see_all(export: AuditExport, scope: Scope) -> bool:
    if scope.accessible is None:
        return True
    try:
        seen = _seen(export)
    except NoSuchFile:
        # On its last day the bucket may have deleted it already; what the file tells of can no longer be told.
        return False
    return seen is not None and seen <= set(scope.accessible)


def _seen(export: AuditExport) -> frozenset[str] | None:
    """The ids that the first turn kept; None for all.

    Raises:
        NoSuchFile: it is deleted.
    """
    ids = orjson.loads(files.read(export.seen_key))
    return None if ids is None else frozenset(ids)
