"""What may be asked for, and how a report goes from `waiting` to `ready` or `failed`."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from portal.change import Change
from portal.errors import FieldError, Invalid, TooManyRequests

if TYPE_CHECKING:
    from portal.reports.records import Report

MOST_ACCOUNTS_BY_ID = 100
KEPT_FOR = timedelta(days=30)
"""How long a finished report and its file can be had."""
LINK_SECONDS = 300
"""How long a download link works."""

_MOST_UNFINISHED = 5
_MOST_ATTEMPTS = 4
_MOST_CLAIMS = 98
"""Each has 100 of the 10,000 part numbers of an upload to itself."""
_GIVEN_UP_AFTER = timedelta(hours=24)

GAVE_UP = "The report could not be written. Ask for it again; if that fails too, contact support."
NO_LONGER_PERMITTED = "You no longer may export reports of this portal."
TOO_LARGE = "The report would be larger than a zip file can be. Choose fewer accounts."


class TooManyReports(TooManyRequests):
    detail = f"{_MOST_UNFINISHED} of your reports are still being written; wait for one of them."


def check_choice(account_ids: object, filters: object) -> None:
    """Accounts are chosen one way.

    Raises:
        Invalid: by their ids and with filters at once.
    """
    if account_ids and filters:
        raise Invalid(
            errors=(FieldError("filters", "Choose accounts by account_ids or by filters, not both."),)
        )


def state(report: "Report", now: datetime) -> str:
    """The state as shown: a report that nobody worked on for a day will not come any more."""
    if report.state in ("waiting", "running") and now - report.touched_at > _GIVEN_UP_AFTER:
        return "failed"
    return report.state


def kept(report: "Report", now: datetime) -> bool:
    """Whether a report can still be had."""
    return report.finished_at is None or now - report.finished_at < KEPT_FOR


def admit(reports: Iterable["Report"], now: datetime) -> None:
    """Let one more report of the same user in.

    Raises:
        TooManyReports: as many as one user may wait for are unfinished.
    """
    if sum(state(report, now) in ("waiting", "running") for report in reports) >= _MOST_UNFINISHED:
        raise TooManyReports


def begin_turn(report: "Report", turn: int, now: datetime) -> Change | None:
    """What a worker that got the message for a turn writes down first.

    None: that turn is over, or the report is finished. Whoever begins last goes on: those who began earlier
    find the report changed when they want to write down how far they came.
    """
    if report.state in ("ready", "failed") or turn != report.turn:
        return None
    if report.attempts >= _MOST_ATTEMPTS or report.claims >= _MOST_CLAIMS:
        return fail(GAVE_UP, now)
    return Change(state="running", attempts=report.attempts + 1, claims=report.claims + 1, touched_at=now)


def end_turn(report: "Report", progress: dict[str, object], now: datetime) -> Change:
    """The turn did its part; the next one goes on from `progress`."""
    return Change(turn=report.turn + 1, attempts=0, progress=progress, rows=progress["rows"], touched_at=now)


def finish(rows: int, size_bytes: int, now: datetime) -> Change:
    return Change(
        state="ready",
        progress=None,
        rows=rows,
        size_bytes=size_bytes,
        touched_at=now,
        finished_at=now,
        expires_at=int((now + KEPT_FOR).timestamp()),
    )


def fail(reason: str, now: datetime) -> Change:
    """`reason` is for the requester."""
    return Change(
        state="failed",
        failure=reason,
        touched_at=now,
        finished_at=now,
        expires_at=int((now + KEPT_FOR).timestamp()),
    )
