"""Writing a file: rows into a stream, the stream into S3, in as many invocations as it takes, memory flat.

Each invocation is one turn. It goes on from what the file's `progress` says, and ends by writing there
how far it came, in one transaction with the message for the next turn. What a turn did without coming to
its end is done again; nothing of it is part of the file, because the progress alone says which parts of
the upload count.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

from portal import csv_cells
from portal.adapters import files
from portal.adapters.files import Upload
from portal.change import Change
from portal.consumer import Work
from portal.csv_cells import Cell
from portal.identity.records import User
from portal.journal import Message
from portal.notifications.messages import mail
from portal.scope import Scope
from portal.settings import settings
from portal.streamed_files import requester, rules
from portal.streamed_files.progress import Progress
from portal.streamed_files.records import StreamedFile, find_again
from portal.table import Update, settled
from portal.telemetry import logger

_ROWS_AT_ONCE = 500
_PARTS_OF_A_TURN = 90
_PART_NUMBERS_OF_A_TURN = 100

_File = TypeVar("_File", bound=StreamedFile)


class _Overtaken(Exception):
    """Another invocation has begun the same turn since, or the file is gone: it is not ours to write."""


class Stream(Protocol):
    """What makes the file's bytes of what is written, and can go on in another process."""

    def begin(self) -> bytes: ...
    def write(self, data: bytes) -> bytes: ...
    def pause(self) -> bytes: ...
    def finish(self) -> bytes: ...

    @property
    def state(self) -> dict[str, int]: ...


class PlainStream:
    """The bytes as they are."""

    state: dict[str, int] = {}  # noqa: RUF012  it never holds anything

    def begin(self) -> bytes:
        return b""

    def write(self, data: bytes) -> bytes:
        return data

    pause = finish = begin


@dataclass(frozen=True, slots=True)
class Step:
    """A line, if there is one, and how to go on behind it."""

    where: Mapping[str, Any]
    line: list[Cell] | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a file is made of."""

    header: Iterable[str]
    content_type: str
    stream: Callable[[Mapping[str, int]], Stream]
    """The stream in a state; of an empty one, at its beginning."""
    steps: Callable[[Mapping[str, Any]], Iterator[Step]]
    """What comes behind a place; behind an empty one, everything."""


ContentOf = Callable[[Scope, bool], Content]
"""Of what the requester may see now; True says that nothing was written yet."""


def begin_turn(work: Work, find: Callable[[], _File | None], turn: int) -> _File | None:
    """Claim a turn; None when there is nothing to do for this message."""

    def attempt() -> _File | None:
        file = find()
        change = rules.begin_turn(file, turn, work.now) if file else None
        if file is None or change is None:
            return None
        work.commit(Update(file, change))
        return file

    file = settled(attempt)
    if file is None:
        logger.info("nothing to write", extra={"turn": turn})
    elif file.state == "failed":
        logger.error("given up", extra={"file": file.folder, "turn": turn})
        _clear(file)
        return None
    return file


def go_on(work: Work, file: StreamedFile, content_of: ContentOf, template: str, *, attached: bool) -> None:
    """Do a claimed turn's part of the writing; after the last one, mail the file as `template` says."""
    known = requester.find_scope(file)
    try:
        if known is None:
            raise rules.CannotBeWritten(rules.no_longer_permitted(file))
        user, scope = known
        progress = Progress.model_validate(file.progress) if file.progress else None
        if progress is None or not progress.closed:
            progress = _write_rows(work, file, content_of(scope, progress is None), progress)
        if progress is not None:
            _finish(work, file, progress, lambda rows: _announcement(file, user, rows, template, attached))
    except rules.CannotBeWritten as reason:
        _fail(work, file, str(reason))
    except _Overtaken:
        logger.info("overtaken", extra={"file": file.folder})


def _write_rows(work: Work, file: StreamedFile, content: Content, before: Progress | None) -> Progress | None:
    """Write to the end, or until the time is up: then the next turn is on its way, and the answer is None."""
    writer = _Writer.of(file, content, before)
    steps = content.steps(before.where if before else {})
    while batch := list(islice(steps, _ROWS_AT_ONCE)):
        writer.write([step.line for step in batch if step.line])
        if work.time_is_short or writer.parts_sent >= _PARTS_OF_A_TURN:
            progress = writer.pause(batch[-1].where)
            _decide(work, file, rules.end_turn(file, progress.model_dump(mode="json"), work.now), more=True)
            if before and before.tail:
                files.delete([before.tail])
            return None
    progress = writer.close()
    _decide(work, file, Change(progress=progress.model_dump(mode="json"), touched_at=work.now))
    return progress


def _finish(
    work: Work, file: StreamedFile, progress: Progress, announcement: Callable[[int], Message]
) -> None:
    size_bytes = Upload(file.file_key, progress.upload_id, progress.parts).complete()
    change = rules.finish(progress.rows, size_bytes, work.now)
    _decide(work, file, change, send=[announcement(progress.rows)])
    files.delete_prefix(file.tails)


def _announcement(file: StreamedFile, user: User, rows: int, template: str, attached: bool) -> Message:
    enclosed = [{"key": file.file_key, "name": file.file_name, "link": file.page}]
    requested_on = f"{file.created_at:%Y-%m-%d}"
    return mail(
        file.node,
        to=[user.email],
        template=template,
        parameters={"rows": rows, "requested_on": requested_on, "link": settings.portal_url + file.page},
        attach=enclosed if attached else [],
        dedupe=f"{file.stem} {file.file_id}",
    )


def _fail(work: Work, file: StreamedFile, reason: str) -> None:
    try:
        _decide(work, file, rules.fail(reason, work.now))
    except _Overtaken:
        logger.info("overtaken", extra={"file": file.folder})
        return
    logger.warning("failed", extra={"file": file.folder, "reason": reason})
    _clear(file)


def _clear(file: StreamedFile) -> None:
    """Leave nothing of a failed file behind."""
    if file.progress:
        Upload(file.file_key, file.progress["upload_id"]).abort()
    files.delete_prefix(file.folder)


def _decide(
    work: Work, file: StreamedFile, change: Change, *, more: bool = False, send: Iterable[Message] = ()
) -> None:
    """Write down what became of the turn, if it is still ours; with `more`, the next turn is sent for.

    Raises:
        _Overtaken: it is not.
    """

    def attempt() -> None:
        stored = find_again(file)
        if stored is None or stored.state != "running" or stored.claims != file.claims:
            raise _Overtaken
        work.commit(
            Update(stored, change), send=[*send, *([stored.wanted(int(file.turn) + 1)] if more else [])]
        )

    settled(attempt)


@dataclass
class _Writer:
    """The stream and its upload, taken up where the last turn put them down."""

    file: StreamedFile
    upload: Upload
    stream: Stream
    rows: int
    parts_before: int = field(init=False)

    def __post_init__(self) -> None:
        self.parts_before = len(self.upload.parts)
        self.upload.next_number = int(self.file.claims) * _PART_NUMBERS_OF_A_TURN

    @classmethod
    def of(cls, file: StreamedFile, content: Content, before: Progress | None) -> "_Writer":
        if before is None:
            writer = cls(file, Upload.begin(file.file_key, content.content_type), content.stream({}), 0)
            writer.upload.write(writer.stream.begin())
            header = csv_cells.BYTE_ORDER_MARK + csv_cells.lines([content.header])
            writer.upload.write(writer.stream.write(header.encode()))
            return writer
        upload = Upload(file.file_key, before.upload_id, list(before.parts))
        upload.pending += files.read(before.tail)
        return cls(file, upload, content.stream(before.stream), before.rows)

    @property
    def parts_sent(self) -> int:
        """In this turn."""
        return len(self.upload.parts) - self.parts_before

    def write(self, rows: list[list[Cell]]) -> None:
        self.rows += len(rows)
        self.upload.write(self.stream.write(csv_cells.lines(rows).encode()))

    def pause(self, where: Mapping[str, Any]) -> Progress:
        self.upload.write(self.stream.pause())
        tail = f"{self.file.tails}{self.file.claims}"
        files.put(tail, bytes(self.upload.pending), "application/octet-stream")
        return self._progress(where=dict(where), tail=tail)

    def close(self) -> Progress:
        self.upload.write(self.stream.finish())
        self.upload.close()
        return self._progress(closed=True)

    def _progress(self, **position: Any) -> Progress:
        return Progress(
            upload_id=self.upload.upload_id,
            parts=self.upload.parts,
            stream=self.stream.state,
            rows=self.rows,
            **position,
        )
