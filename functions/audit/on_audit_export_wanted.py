"""Queue: AuditExports

Writes an export of the audit trail to S3 as a stream, and mails it to whoever asked for it. Before the time limit it
stops and sends for the next turn, which goes on where this one stopped.
"""

from pydantic import BaseModel

from portal.audit import export
from portal.audit.records import find_export
from portal.consumer import Work, consumer
from portal.scope import Scope
from portal.streamed_files.writing import begin_turn
from portal.tree import Node


class AuditExportWanted(BaseModel):
    path: str
    export_id: str
    turn: int


@consumer
def handler(work: Work, message: AuditExportWanted) -> None:
    scope = Scope(Node.parse(message.path))
    begun = begin_turn(work, lambda: find_export(scope, message.export_id), message.turn)
    if begun is not None:
        export.go_on(work, begun)
