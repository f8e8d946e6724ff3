"""Reading the audit trail, and the exports of it that were asked for."""

from collections.abc import Iterator
from datetime import datetime
from heapq import merge

from pynamodb.attributes import UnicodeAttribute

from portal import ids, keys
from portal.audit import rules
from portal.audit.filters import AuditFilters
from portal.errors import NotFound
from portal.journal import AuditEntry
from portal.permissions import Permission
from portal.scope import Caller, Scope
from portal.streamed_files import rules as files
from portal.streamed_files.records import StreamedFile
from portal.table import JsonAttribute, find, query, query_back


class AuditExport(StreamedFile, discriminator="audit-export"):
    """A CSV of a portal's audit trail, newest first, up to the moment in which it was asked for."""

    called = "export"
    stem = "audit"
    suffix = "csv"
    pages = "/audit/exports/"
    queue = "AuditExports"
    id_name = "export_id"
    permission = Permission.AUDIT_VIEW

    export_id = UnicodeAttribute()
    filters = JsonAttribute()
    """`AuditFilters` as they were asked for."""

    @property
    def seen_key(self) -> str:
        """Which partners and accounts it may tell of (`portal.audit.export`)."""
        return f"{self.folder}seen.json"


def list_entries(scope: Scope, filters: AuditFilters, *, behind: str, at_once: int) -> Iterator[AuditEntry]:
    """Entries of the portal at the scope's top, newest first: all that are wanted, and others among them.

    Args:
        behind: sort key of the entry before the first; empty for the beginning.
        at_once: how many a request to the table reads.
    """
    first, last = keys.audit_range(filters.since, filters.until)
    if first > last:
        return iter(())
    route = rules.route(scope.top, filters)
    found = [
        query_back(AuditEntry, pk, first, behind or last, index=route.index, at_once=at_once)
        for pk in route.pks
    ]
    # The sort key stands for the same instant and id in every index, so one order holds for all of them.
    together = merge(*found, key=lambda entry: entry.sk, reverse=True)
    return (entry for entry in together if entry.sk != behind)


def new_export(by: Caller, filters: AuditFilters, at: datetime) -> AuditExport:
    """An export for the portal that the caller speaks for."""
    export_id = ids.new("aex", at)
    return AuditExport(
        keys.node(by.portal),
        keys.audit_export(export_id),
        export_id=export_id,
        state="waiting",
        requested_by=by.user_id,
        requested_from=str(by.home),
        filters=filters.model_dump(mode="json", by_alias=True, exclude_none=True),
        created_at=at,
        touched_at=at,
    )


def get_export(scope: Scope, export_id: str, asked_by: str, now: datetime) -> AuditExport:
    """An export of the portal at the scope's top. Whoever sees a list of accounts only gets its own ones.

    Raises:
        NotFound: there is none for this user, or it is no longer kept.
    """
    export = find_export(scope, export_id)
    if export is None or not files.kept(export, now):
        raise NotFound
    if scope.accessible is not None and export.requested_by != asked_by:
        raise NotFound
    return export


def find_export(scope: Scope, export_id: str) -> AuditExport | None:
    """An export of the portal at the scope's top, whoever asked for it."""
    return find(AuditExport, keys.node(scope.top), keys.audit_export(export_id))


def list_exports(scope: Scope, requested_by: str) -> Iterator[AuditExport]:
    """A user's exports of the portal at the scope's top, latest first."""
    found = query(AuditExport, keys.node(scope.top), keys.audit_export(), newest_first=True)
    return (export for export in found if export.requested_by == requested_by)
