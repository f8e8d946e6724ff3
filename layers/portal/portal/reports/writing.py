"""What a usage report is made of: a zip with a CSV, the entities of the chosen accounts."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from portal.consumer import Work
from portal.reports import lines, rules, selection
from portal.reports.records import Report
from portal.reports.selection import Selection
from portal.reports.zip_stream import FileTooLarge, ZipStream
from portal.scope import Scope
from portal.streamed_files import writing
from portal.streamed_files.rules import CannotBeWritten
from portal.streamed_files.writing import Content, Step
from portal.tasks.records import list_entities


def go_on(work: Work, report: Report) -> None:
    """Do a claimed turn's part of the writing."""

    def content(scope: Scope, from_the_beginning: bool) -> Content:
        choice = selection.choose(report, scope, work.now) if from_the_beginning else None
        chosen = choice or selection.chosen(report, scope)
        return Content(
            header=lines.HEADER,
            content_type="application/zip",
            stream=lambda state: _Zip.of(report.file_name.replace(".zip", ".csv"), report.created_at, state),
            steps=lambda where: _steps(scope, chosen, where),
        )

    writing.go_on(work, report, content, "usage_report", attached=report.delivery == "attachment")


def _steps(scope: Scope, chosen: Selection, where: Mapping[str, Any]) -> Iterator[Step]:
    place, after = where.get("place", 0), where.get("after", "")
    for at, account in chosen.accounts(scope, place):
        if account is not None:
            name = chosen.partner_names.get(account.node.partner, "")
            for entity in list_entities(scope, account.node, after=after if at == place else ""):
                yield Step({"place": at, "after": entity.sk}, lines.line(name, account, entity))
        yield Step({"place": at + 1, "after": ""})


class _Zip(ZipStream):
    @classmethod
    def of(cls, name: str, at: datetime, state: Mapping[str, int]) -> "_Zip":
        return cls(name, at, **state)

    @property
    def state(self) -> dict[str, int]:
        return {"crc": self.crc, "raw_bytes": self.raw_bytes, "packed_bytes": self.packed_bytes}

    def write(self, data: bytes) -> bytes:
        try:
            return super().write(data)
        except FileTooLarge:
            raise CannotBeWritten(rules.TOO_LARGE) from None
