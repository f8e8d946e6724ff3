"""The documents of issued bills: rendered once from what is frozen, and kept."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from portal.adapters import files
from portal.billing import lines, records
from portal.billing.lines import FrozenBill
from portal.billing.views import DocumentLink
from portal.errors import NotFound
from portal.journal import Message
from portal.notifications.messages import mail
from portal.scope import Scope
from portal.tree import Node

Format = Literal["pdf", "csv"]
_CONTENT_TYPES: dict[Format, str] = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}
_LINKS_LAST = timedelta(minutes=5)


def get_issued_bill(scope: Scope, distributor: Node, bill_sk: str) -> records.Bill:
    """The bill that documents are wanted of.

    Raises:
        NotFound: there is none, or it is still a draft.
    """
    bill = records.find_bill(scope, distributor, bill_sk)
    if bill is None or bill.reference is None:
        raise NotFound
    return bill


def file_key(bill: records.Bill, suffix: Format, part: str = "") -> str:
    """Where a bill's document is kept: `bills/dst_1/80035.pdf`; with `part`, one partner's: `80035-prt_2.csv`."""
    return f"bills/{bill.node.distributor}/{bill.reference}{_dashed(part)}.{suffix}"


def file_name(bill: records.Bill, suffix: Format, part: str = "") -> str:
    """What it is called where it is saved: `bill-80035.pdf`."""
    kind = "bill" if bill.bill_kind == "monthly" else "invoice"
    return f"{kind}-{bill.reference}{_dashed(part)}.{suffix}"


def _dashed(part: str) -> str:
    return f"-{part}" if part else ""


def frozen_bill(scope: Scope, bill: records.Bill) -> FrozenBill:
    """An issued bill with its lines."""
    return lines.frozen(bill, list(records.list_parts(scope, bill)))


def keep(
    scope: Scope, bill: records.Bill, suffix: Format, render: Callable[[FrozenBill], bytes], part: str = ""
) -> str:
    """The key of a bill's document, which is rendered if it is not there yet and never replaced."""
    key = file_key(bill, suffix, part)
    if not files.exists(key):
        files.put(key, render(frozen_bill(scope, bill)), _CONTENT_TYPES[suffix])
    return key


def link(bill: records.Bill, suffix: Format, now: datetime, part: str = "") -> DocumentLink:
    """For whoever may see a document that is kept."""
    return link_to(file_key(bill, suffix, part), file_name(bill, suffix, part), now)


def link_to(key: str, file_name: str, now: datetime) -> DocumentLink:
    """Likewise, to a file and what it is called where it is saved."""
    url = files.link(key, file_name=file_name, seconds=int(_LINKS_LAST.total_seconds()))
    return DocumentLink(url=url, expires_at=now + _LINKS_LAST)


def credit_note_key(note: records.CreditNote) -> str:
    """Where a credit note's PDF is kept: `bills/dst_1/CN-10001.pdf`."""
    return f"bills/{note.node.distributor}/{note.reference}.pdf"


def keep_credit_note(note: records.CreditNote, render: Callable[[FrozenBill], bytes]) -> str:
    """As `keep`."""
    key = credit_note_key(note)
    if not files.exists(key):
        files.put(key, render(lines.frozen_credit(note)), _CONTENT_TYPES["pdf"])
    return key


def link_to_credit_note(note: records.CreditNote, now: datetime) -> DocumentLink:
    """As `link`."""
    return link_to(credit_note_key(note), f"credit-note-{note.reference}.pdf", now)


def credit_note_announcement(note: records.CreditNote) -> Message:
    """The mail that brings a credit note to those who get billing notifications, once."""
    return mail(
        note.node,
        to_billing=True,
        template="credit_note_issued",
        parameters={
            "reference": note.reference,
            "bill_reference": note.bill_reference,
            "amount": str(lines.total_of_bill(note).gross),
            "reason": note.reason,
        },
        attach=[
            {
                "key": credit_note_key(note),
                "name": f"credit-note-{note.reference}.pdf",
                "link": f"/billing/history/{note.bill_reference}",
            }
        ],
        dedupe=f"credit-note {note.reference}",
    )


def announcement(bill: records.Bill) -> Message:
    """The mail that brings the bill to those who get billing notifications, once."""
    return mail(
        bill.node,
        to_billing=True,
        template="bill_issued",
        parameters={
            "reference": bill.reference,
            "kind": bill.bill_kind,
            "method": bill.bill_method,
            "amount": str(lines.total_of_bill(bill).gross),
            "due_on": bill.due_on.isoformat(),
        },
        attach=[
            {
                "key": file_key(bill, "pdf"),
                "name": file_name(bill, "pdf"),
                "link": f"/billing/history/{bill.reference}",
            }
        ],
        dedupe=f"bill-issued {bill.reference}",
    )
