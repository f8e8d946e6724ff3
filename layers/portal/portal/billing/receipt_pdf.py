"""The receipt for a payment as a PDF, from what was frozen when it was recorded: the same bytes every time."""

from portal.billing import bill_text
from portal.billing.pdf_page import BOLD, INK, LEFT, RIGHT, Layout, drawn, facts, head, notes, set_up
from portal.billing.receipts import Receipt


def render(receipt: Receipt) -> bytes:
    set_up()
    layout, title = Layout(), f"Receipt {receipt.number}"
    head(layout, receipt.seller, title)
    received = bill_text.with_currency(receipt.amount)
    band = (f"Received for {_what(receipt)} {receipt.bill_reference}", received)
    facts(layout, receipt.payer, "Received from", _facts(receipt), band)
    _sums(layout, receipt)
    notes(layout, _notes(receipt))
    return drawn(layout.pages, title, receipt.seller["name"], f"Payment for {receipt.bill_reference}")


def _facts(receipt: Receipt) -> list[tuple[str, str]]:
    return [
        ("Number", receipt.number),
        ("Received on", bill_text.day(receipt.received_on)),
        ("Paid by", bill_text.PAID_BY[receipt.paid_by]),
        (f"For {_what(receipt)}", receipt.bill_reference),
        ("of", bill_text.day(receipt.bill_issued_on)),
    ]


def _sums(layout: Layout, receipt: Receipt) -> None:
    rows = [(f"Used for {_what(receipt)} {receipt.bill_reference}", receipt.amount - receipt.excess)]
    if receipt.excess.minor:
        rows.append(("Added to your credit balance", receipt.excess))
    for label, value in rows:
        layout.text(LEFT, label)
        layout.text(RIGHT, bill_text.amount(value), align="right")
        layout.down(14)
    layout.rule(INK, down=-9)
    layout.down(4)
    layout.text(LEFT, "Received", font=BOLD, size=11)
    layout.text(RIGHT, bill_text.with_currency(receipt.amount), font=BOLD, size=11, align="right")
    layout.down(22)
    layout.text(LEFT, f"Still owed on {_what(receipt)} {receipt.bill_reference}")
    layout.text(RIGHT, bill_text.amount(receipt.owed), align="right")
    layout.down(30)


def _notes(receipt: Receipt) -> list[str]:
    what = f"{_what(receipt)} {receipt.bill_reference}"
    if receipt.owed.minor:
        said = [f"{bill_text.with_currency(receipt.owed)} is still owed on {what}. Thank you."]
    else:
        said = [f"Nothing is owed on {what} any more. Thank you."]
    if receipt.excess.minor:
        said.append(
            "Your credit balance pays your other open bills, the earliest due first, and your next ones."
        )
    if receipt.seller["email"]:
        said.append(f"Questions about this receipt: {receipt.seller['email']}")
    return said


def _what(receipt: Receipt) -> str:
    return "bill" if receipt.bill_kind == "monthly" else "invoice"
