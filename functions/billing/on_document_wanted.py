"""Queue: Documents

Renders an issued bill as PDF, a consolidated one as CSV too, or a credit note or a payment's receipt as PDF, and then
mails it to those who get billing notifications.
"""

from pydantic import BaseModel

from portal.billing import bill_csv, bill_pdf, documents, receipt_pdf, receipts
from portal.billing.records import get_credit_note
from portal.consumer import Work, consumer
from portal.scope import EVERYTHING, Scope
from portal.tree import Node


class DocumentWanted(BaseModel, extra="ignore"):
    distributor_id: str
    bill_sk: str
    credit_note: str = ""
    """Its number, when it is that which is wanted."""
    payment: str = ""
    """Its id, when its receipt is wanted."""


@consumer
def handler(work: Work, message: DocumentWanted) -> None:
    distributor = Node(message.distributor_id)
    if message.credit_note:
        note = get_credit_note(Scope(distributor), message.credit_note)
        documents.keep_credit_note(note, bill_pdf.render)
        work.commit(send=[documents.credit_note_announcement(note)])
        return
    bill = documents.get_issued_bill(EVERYTHING, distributor, message.bill_sk)
    if message.payment:
        payment = receipts.get_payment(EVERYTHING, bill, message.payment)
        receipts.keep(bill, payment, receipt_pdf.render)
        work.commit(send=[receipts.announcement(bill, payment)])
        return
    documents.keep(EVERYTHING, bill, "pdf", bill_pdf.render)
    if bill.bill_kind == "monthly":
        documents.keep(EVERYTHING, bill, "csv", bill_csv.render)
    work.commit(send=[documents.announcement(bill)])
