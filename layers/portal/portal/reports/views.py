"""How a usage report looks from outside."""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel

from portal.reports.records import Report
from portal.streamed_files import rules


class UsageReport(BaseModel):
    """A usage report. `rows` counts the entities written so far."""

    report_id: str
    state: Literal["waiting", "running", "ready", "failed"]
    delivery: Literal["attachment", "link"]
    requested_at: AwareDatetime
    finished_at: AwareDatetime | None
    rows: int
    size_bytes: int | None
    """Of the zip; None until it is ready."""
    failure: str | None
    """Why it failed, in words."""
    download_url: str | None = None
    """Downloads the zip, for a few minutes, without signing in. Only in the answer for one ready report."""


def report(stored: Report, now: datetime, download_url: str | None = None) -> UsageReport:
    state = rules.state(stored, now)
    shown = {
        "report_id": stored.report_id,
        "state": state,
        "delivery": stored.delivery,
        "requested_at": stored.created_at,
        "finished_at": stored.finished_at,
        "rows": int(stored.rows),
        "size_bytes": int(stored.size_bytes) if state == "ready" else None,
        "failure": (stored.failure or rules.gave_up(stored)) if state == "failed" else None,
    }
    return UsageReport.model_validate(shown | ({"download_url": download_url} if download_url else {}))
