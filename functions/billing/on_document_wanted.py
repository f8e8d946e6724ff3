"""Queue: Documents

Renders an issued bill as PDF, a consolidated one as CSV too, and then mails it to those who get billing
notifications.
"""

from pydantic import BaseModel

from portal.billing import bill_csv, bill_pdf, documents
from portal.consumer import Work, consumer
from portal.scope import EVERYTHING
from portal.tree import Node


class DocumentWanted(BaseModel, extra="ignore"):
    distributor_id: str
    bill_sk: str


@consumer
def handler(work: Work, message: DocumentWanted) -> None:
    bill = documents.get_issued_bill(EVERYTHING, Node(message.distributor_id), message.bill_sk)
    documents.keep(EVERYTHING, bill, "pdf", bill_pdf.render)
    if bill.bill_kind == "monthly":
        documents.keep(EVERYTHING, bill, "csv", bill_csv.render)
    work.commit(send=[documents.announcement(bill)])
