"""Writing a report: rows into a zip, the zip into S3, in as many invocations as it takes, memory flat.

Each invocation is one turn. It goes on from what the report's `progress` says, and ends by writing there
how far it came, in one transaction with the message for the next turn. What a turn did without coming to
its end is done again; nothing of it is part of the report, because the progress alone says which parts of
the upload count.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from portal import csv_cells
from portal.adapters import files
from portal.adapters.files import Upload
from portal.change import Change
from portal.consumer import Work
from portal.csv_cells import Cell
from portal.identity.records import User
from portal.journal import Message
from portal.notifications.messages import mail
from portal.reports import lines, requester, rules, selection
from portal.reports.progress import Progress
from portal.reports.records import Report, find_report
from portal.reports.selection import Selection
from portal.reports.zip_stream import FileTooLarge, ZipStream
from portal.scope import Scope
from portal.settings import settings
from portal.table import Update, settled
from portal.tasks.records import list_entities
from portal.telemetry import logger
from portal.tree import Node

_ROWS_AT_ONCE = 500
_PARTS_OF_A_TURN = 90
_PART_NUMBERS_OF_A_TURN = 100
_CONTENT_TYPE = "application/zip"


class _Overtaken(Exception):
    """Another invocation has begun the same turn since, or the report is gone: it is not ours to write."""


def wanted(report: Report, turn: int) -> Message:
    """The message that begins a turn."""
    body = {"path": str(report.node), "report_id": report.report_id, "turn": turn}
    return Message("Reports", report.node, body)


def begin_turn(work: Work, portal: Node, report_id: str, turn: int) -> Report | None:
    """Claim a turn; None when there is nothing to do for this message."""

    def attempt() -> Report | None:
        report = find_report(Scope(portal), report_id)
        change = rules.begin_turn(report, turn, work.now) if report else None
        if report is None or change is None:
            return None
        work.commit(Update(report, change))
        return report

    report = settled(attempt)
    if report is None:
        logger.info("nothing to write", extra={"report_id": report_id, "turn": turn})
    elif report.state == "failed":
        logger.error("report given up", extra={"report_id": report_id, "turn": turn})
        _clear(report)
        return None
    return report


def go_on(work: Work, report: Report) -> None:
    """Do a claimed turn's part of the writing."""
    known = requester.find_scope(report)
    try:
        if known is None:
            _fail(work, report, rules.NO_LONGER_PERMITTED)
        else:
            _turn(work, report, *known)
    except FileTooLarge:
        _fail(work, report, rules.TOO_LARGE)
    except _Overtaken:
        logger.info("overtaken", extra={"report_id": report.report_id})


def _turn(work: Work, report: Report, user: User, scope: Scope) -> None:
    progress = Progress.model_validate(report.progress) if report.progress else None
    if progress is None or not progress.closed:
        progress = _write_rows(work, report, scope, progress)
    if progress is not None:
        _finish(work, report, user, progress)


def _write_rows(work: Work, report: Report, scope: Scope, before: Progress | None) -> Progress | None:
    """Write to the end, or until the time is up: then the next turn is on its way, and the answer is None."""
    writer = _Writer.of(report, before)
    chosen = selection.choose(report, scope, work.now) if before is None else selection.chosen(report, scope)
    position = (before.place, before.after) if before else (0, "")
    steps = _steps(scope, chosen, *position)
    while batch := list(islice(steps, _ROWS_AT_ONCE)):
        writer.write([step.line for step in batch if step.line])
        if work.time_is_short or writer.parts_sent >= _PARTS_OF_A_TURN:
            progress = writer.pause(place=batch[-1].place, after=batch[-1].after)
            _decide(
                work, report, rules.end_turn(report, progress.model_dump(mode="json"), work.now), more=True
            )
            if before and before.tail:
                files.delete([before.tail])
            return None
    progress = writer.close(place=len(chosen.nodes))
    _decide(work, report, Change(progress=progress.model_dump(mode="json"), touched_at=work.now))
    return progress


def _finish(work: Work, report: Report, user: User, progress: Progress) -> None:
    size_bytes = Upload(report.file_key, progress.upload_id, progress.parts).complete()
    change = rules.finish(progress.rows, size_bytes, work.now)
    _decide(work, report, change, send=[_announcement(report, user, progress.rows)])
    files.delete_prefix(report.tails)


def _announcement(report: Report, user: User, rows: int) -> Message:
    page, requested_on = f"/reports/{report.report_id}", f"{report.created_at:%Y-%m-%d}"
    attached = [{"key": report.file_key, "name": report.file_name, "link": page}]
    return mail(
        report.node,
        to=[user.email],
        template="usage_report",
        parameters={"rows": rows, "requested_on": requested_on, "link": settings.portal_url + page},
        attach=attached if report.delivery == "attachment" else [],
        dedupe=f"usage-report {report.report_id}",
    )


def _fail(work: Work, report: Report, reason: str) -> None:
    _decide(work, report, rules.fail(reason, work.now))
    logger.warning("report failed", extra={"report_id": report.report_id, "reason": reason})
    _clear(report)


def _clear(report: Report) -> None:
    """Leave nothing of a failed report behind."""
    if report.progress:
        Upload(report.file_key, report.progress["upload_id"]).abort()
    files.delete_prefix(report.folder)


def _decide(
    work: Work, report: Report, change: Change, *, more: bool = False, send: Iterable[Message] = ()
) -> None:
    """Write down what became of the turn, if it is still ours; with `more`, the next turn is sent for.

    Raises:
        _Overtaken: it is not.
    """

    def attempt() -> None:
        stored = find_report(Scope(report.node), report.report_id)
        if stored is None or stored.state != "running" or stored.claims != report.claims:
            raise _Overtaken
        work.commit(
            Update(stored, change), send=[*send, *([wanted(stored, int(report.turn) + 1)] if more else [])]
        )

    settled(attempt)


@dataclass(frozen=True, slots=True)
class _Step:
    """A line, if there is one, and where to go on behind it."""

    place: int
    after: str
    line: list[Cell] | None = None


def _steps(scope: Scope, chosen: Selection, place: int, after: str) -> Iterator[_Step]:
    for at, account in chosen.accounts(scope, place):
        if account is not None:
            name = chosen.partner_names.get(account.node.partner, "")
            for entity in list_entities(scope, account.node, after=after if at == place else ""):
                yield _Step(at, entity.sk, lines.line(name, account, entity))
        yield _Step(at + 1, "")


@dataclass
class _Writer:
    """The zip's stream and its upload, taken up where the last turn put them down."""

    report: Report
    upload: Upload
    stream: ZipStream
    rows: int
    parts_before: int = field(init=False)

    def __post_init__(self) -> None:
        self.parts_before = len(self.upload.parts)

    @classmethod
    def of(cls, report: Report, before: Progress | None) -> "_Writer":
        name, at = report.file_name.replace(".zip", ".csv"), report.created_at
        if before is None:
            writer = cls(report, Upload.begin(report.file_key, _CONTENT_TYPE), ZipStream(name, at), 0)
            writer.upload.next_number = writer.first_number
            writer.upload.write(writer.stream.begin())
            writer.upload.write(writer.stream.write(csv_cells.BYTE_ORDER_MARK.encode()))
            writer.upload.write(writer.stream.write(csv_cells.lines([lines.HEADER]).encode()))
            return writer
        upload = Upload(report.file_key, before.upload_id, list(before.parts))
        upload.pending += files.read(before.tail)
        stream = ZipStream(name, at, before.crc, before.raw_bytes, before.packed_bytes)
        writer = cls(report, upload, stream, before.rows)
        upload.next_number = writer.first_number
        return writer

    @property
    def first_number(self) -> int:
        return int(self.report.claims) * _PART_NUMBERS_OF_A_TURN

    @property
    def parts_sent(self) -> int:
        """In this turn."""
        return len(self.upload.parts) - self.parts_before

    def write(self, rows: list[list[Cell]]) -> None:
        self.rows += len(rows)
        self.upload.write(self.stream.write(csv_cells.lines(rows).encode()))

    def pause(self, *, place: int, after: str) -> Progress:
        self.upload.write(self.stream.pause())
        tail = f"{self.report.tails}{self.report.claims}"
        files.put(tail, bytes(self.upload.pending), "application/octet-stream")
        return self._progress(place=place, after=after, tail=tail)

    def close(self, *, place: int) -> Progress:
        self.upload.write(self.stream.finish())
        self.upload.close()
        return self._progress(place=place, closed=True)

    def _progress(self, *, place: int, after: str = "", tail: str = "", closed: bool = False) -> Progress:
        return Progress(
            upload_id=self.upload.upload_id,
            parts=self.upload.parts,
            tail=tail,
            place=place,
            after=after,
            rows=self.rows,
            crc=self.stream.crc,
            raw_bytes=self.stream.raw_bytes,
            packed_bytes=self.stream.packed_bytes,
            closed=closed,
        )
