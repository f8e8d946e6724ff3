"""Queue: Reports

Writes a usage report to S3 as a stream, and mails it to whoever asked for it. Before the time limit it
stops and sends for the next turn, which goes on where this one stopped.
"""

from pydantic import BaseModel

from portal.consumer import Work, consumer
from portal.reports import writing
from portal.tree import Node


class ReportWanted(BaseModel):
    path: str
    report_id: str
    turn: int


@consumer
def handler(work: Work, message: ReportWanted) -> None:
    report = writing.begin_turn(work, Node.parse(message.path), message.report_id, message.turn)
    if report is not None:
        writing.go_on(work, report)
