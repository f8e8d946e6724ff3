"""How a file goes from `waiting` to `ready` or `failed`."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from portal.change import Change

if TYPE_CHECKING:
    from portal.streamed_files.records import StreamedFile

KEPT_FOR = timedelta(days=30)
"""How long a finished file can be had."""
LINK_SECONDS = 300
"""How long a download link works."""
MOST_UNFINISHED = 5
"""Files of one kind that one user may wait for."""

_MOST_ATTEMPTS = 4
_MOST_CLAIMS = 98
"""Each has 100 of the 10,000 part numbers of an upload to itself."""
_GIVEN_UP_AFTER = timedelta(hours=24)


class CannotBeWritten(Exception):
    """No further attempt will write this file; the message is for the requester."""


def gave_up(file: "StreamedFile") -> str:
    return f"The {file.called} could not be written. Ask for it again; if that fails too, contact support."


def no_longer_permitted(file: "StreamedFile") -> str:
    return f"You no longer may ask for this {file.called} in this portal."


def state(file: "StreamedFile", now: datetime) -> str:
    """The state as shown: a file that nobody worked on for a day will not come any more."""
    if file.state in ("waiting", "running") and now - file.touched_at > _GIVEN_UP_AFTER:
        return "failed"
    return file.state


def kept(file: "StreamedFile", now: datetime) -> bool:
    """Whether it can still be had."""
    return file.finished_at is None or now - file.finished_at < KEPT_FOR


def has_room(files: "Iterable[StreamedFile]", now: datetime) -> bool:
    """Whether the user who asked for these may ask for one more."""
    return sum(state(file, now) in ("waiting", "running") for file in files) < MOST_UNFINISHED


def begin_turn(file: "StreamedFile", turn: int, now: datetime) -> Change | None:
    """What a worker that got the message for a turn writes down first.

    None: that turn is over, or the file is finished. Whoever begins last goes on: those who began earlier
    find the file changed when they want to write down how far they came.
    """
    if file.state in ("ready", "failed") or turn != file.turn:
        return None
    if file.attempts >= _MOST_ATTEMPTS or file.claims >= _MOST_CLAIMS:
        return fail(gave_up(file), now)
    return Change(state="running", attempts=file.attempts + 1, claims=file.claims + 1, touched_at=now)


def end_turn(file: "StreamedFile", progress: dict[str, object], now: datetime) -> Change:
    """The turn did its part; the next one goes on from `progress`."""
    return Change(turn=file.turn + 1, attempts=0, progress=progress, rows=progress["rows"], touched_at=now)


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
