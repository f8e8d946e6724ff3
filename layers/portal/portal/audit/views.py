"""How the audit trail looks from outside."""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel

from portal import journal
from portal.activities import Activity, Outcome
from portal.audit import records
from portal.streamed_files import rules


class AuditEntry(BaseModel):
    """One security-relevant action."""

    entry_id: str
    date: AwareDatetime
    activity: Activity
    status: Outcome
    portal: str
    """Path of the portal in which it was done, `dst_1/prt_2`; `vendor` for the vendor's."""
    account: str | None
    """E-mail of the partner or account that it was about, as it was then."""
    performed_by: str
    """E-mail of the user who did it; `system` for what jobs did."""
    performed_from: str | None
    """Path of the portal that the user belongs to, when it entered this one from above."""
    performed_with: str | None
    """Client id of the API key that did it in the user's place."""
    description: str


def portal_of(entry: journal.AuditEntry) -> str:
    return str(entry.node) or "vendor"


def entry(stored: journal.AuditEntry) -> AuditEntry:
    shown = {
        "entry_id": stored.entry_id,
        "date": stored.created_at,
        "activity": stored.activity,
        "status": stored.status,
        "portal": portal_of(stored),
        "account": stored.account,
        "performed_by": stored.performed_by,
        "performed_from": stored.performed_from,
        "performed_with": stored.performed_with,
        "description": stored.description,
    }
    return AuditEntry.model_validate(shown)


class AuditExport(BaseModel):
    """An export of the audit trail. `rows` counts the entries written so far."""

    export_id: str
    state: Literal["waiting", "running", "ready", "failed"]
    filters: dict[str, Any]
    """As they were asked for; times in UTC."""
    requested_at: AwareDatetime
    finished_at: AwareDatetime | None
    rows: int
    size_bytes: int | None
    """Of the CSV; None until it is ready."""
    failure: str | None
    """Why it failed, in words."""
    download_url: str | None = None
    """Downloads the CSV, for a few minutes, without signing in. Only in the answer for a ready export."""


def export(stored: records.AuditExport, now: datetime, download_url: str | None = None) -> AuditExport:
    state = rules.state(stored, now)
    shown = {
        "export_id": stored.export_id,
        "state": state,
        "filters": stored.filters,
        "requested_at": stored.created_at,
        "finished_at": stored.finished_at,
        "rows": int(stored.rows),
        "size_bytes": int(stored.size_bytes) if state == "ready" else None,
        "failure": (stored.failure or rules.gave_up(stored)) if state == "failed" else None,
    }
    return AuditExport.model_validate(shown | ({"download_url": download_url} if download_url else {}))
