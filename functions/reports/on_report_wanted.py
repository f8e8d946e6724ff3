"""Queue: Reports

Writes a usage report to S3 as a stream, and mails it to whoever asked for it. Before the time limit it
stops and sends for the next turn, which goes on where this one stopped.
"""

from pydantic import BaseModel

from portal.consumer import Work, consumer
from portal.reports import writing
from portal.reports.records import find_report
from portal.scope import Scope
from portal.streamed_files.writing import begin_turn
from portal.tree import Node


class ReportWanted(BaseModel):
    path: str
    report_id: str
    turn: int


@consumer
def handler(work: Work, message: ReportWanted) -> None:
    scope = Scope(Node.parse(message.path))
    report = begin_turn(work, lambda: find_report(scope, message.report_id), message.turn)
    if report is not None:
        writing.go_on(work, report)
