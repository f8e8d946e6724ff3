"""A bill as a PDF, from what was frozen when it was issued: the same bytes every time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from reportlab.lib.colors import Color

from portal.billing import bill_text
from portal.billing.lines import FrozenBill
from portal.billing.pdf_page import (
    ACCENT,
    BOLD,
    INK,
    LEADING,
    LEFT,
    PALE,
    REGULAR,
    RIGHT,
    Layout,
    drawn,
    facts,
    head,
    notes,
    set_up,
    shortened,
    wrapped,
)
from portal.billing.rating import Line
from portal.money import Money, total_of
from portal.tree import DIRECT

# Columns of the table of lines: where a text begins, or a number ends.
_SERVICE, _QUANTITY, _PRICE, _DISCOUNT, _DAYS, _AMOUNT = 246.0, 382.0, 427.0, 466.0, 506.0, RIGHT
_HEADINGS = (
    (LEFT, "Account", "left"), (_SERVICE, "Service", "left"), (_QUANTITY, "Quantity", "right"),
    (_PRICE, "Price", "right"), (_DISCOUNT, "Discount", "right"), (_DAYS, "Days", "right"),
    (_AMOUNT, "Amount", "right"),
)  # fmt: skip


def render(bill: FrozenBill) -> bytes:
    """The document of an issued bill."""
    set_up()
    layout = Layout()
    partners = _Partners(bill.partners)
    head(layout, bill.seller, _title(bill))
    total = bill_text.with_currency(bill.total.gross)
    facts(layout, bill.payer, "Billed to", _dates(bill), (_what_to_do(bill), total))
    listed = sorted(
        bill.lines,
        key=lambda line: (partners.place(line.partner_id), line.account_name.casefold(), line.account_id),
    )
    by_partner = [
        (partner_id, list(lines)) for partner_id, lines in groupby(listed, key=lambda line: line.partner_id)
    ]
    currency = bill.total.gross.currency
    if len(by_partner) > 1:
        _summary(layout, partners, by_partner, currency)
    if by_partner:
        _table(layout, partners, by_partner, currency, show_partners=bill.kind == "monthly")
    _totals(layout, bill)
    _notes(layout, bill)
    return drawn(layout.pages, _title(bill), bill.seller["name"], bill_text.days(bill.period))


@dataclass(frozen=True, slots=True)
class _Partners:
    """The partners of a bill's accounts as they were called when it was issued."""

    frozen: Mapping[str, Mapping[str, str]]

    def name(self, partner_id: str) -> str:
        if partner_id == DIRECT:
            return "Direct accounts"
        return self.frozen[partner_id]["name"] if partner_id in self.frozen else partner_id

    def code(self, partner_id: str) -> str:
        return "" if partner_id not in self.frozen else self.frozen[partner_id]["code"]

    def place(self, partner_id: str) -> tuple[bool, str, str]:
        """Direct accounts first, then by name."""
        return partner_id != DIRECT, self.name(partner_id).casefold(), partner_id


def _title(bill: FrozenBill) -> str:
    what = {"monthly": "Bill", "annual": "Invoice", "credit_note": "Credit note"}[bill.kind]
    return f"{what} {bill.reference}"


def _dates(bill: FrozenBill) -> list[tuple[str, str]]:
    issued = [("Number", bill.reference), ("Issued on", bill_text.day(bill.issued_on))]
    if bill.credited is not None:
        of_bill = [
            ("For bill", bill.credited.reference),
            ("of", bill_text.day(bill.credited.issued_on)),
            ("Period", bill_text.days(bill.period)),
        ]
        return issued + of_bill
    return [
        *issued,
        ("Due on", bill_text.day(bill.due_on)),
        ("Period" if bill.kind == "monthly" else "Term", bill_text.days(bill.period)),
        ("Payment", "Credit card" if bill.method == "credit_card" else "Bank transfer"),
    ]


def _what_to_do(bill: FrozenBill) -> str:
    if bill.credited is not None:
        return f"Taken off bill {bill.credited.reference}"
    if bill.method == "credit_card":
        return f"Charged to your card on {bill_text.day(bill.issued_on)}"
    return f"To pay by {bill_text.day(bill.due_on)}"


def _summary(
    layout: Layout, partners: _Partners, by_partner: Sequence[tuple[str, Sequence[Line]]], currency: str
) -> None:
    """What each partner's accounts come to."""

    def headings() -> None:
        layout.text(LEFT, "Partner", font=BOLD, size=8)
        layout.text(_SERVICE, "Partner ID", font=BOLD, size=8)
        layout.text(_DAYS, "Accounts", font=BOLD, size=8, align="right")
        layout.text(_AMOUNT, "Amount", font=BOLD, size=8, align="right")
        layout.rule(INK)
        layout.down(15)

    layout.text(LEFT, "Summary", font=BOLD, size=11)
    layout.down(17)
    headings()
    for partner_id, lines in by_partner:
        names = wrapped([partners.name(partner_id)], _SERVICE - LEFT - 10, 9)
        codes = wrapped([partners.code(partner_id)], _QUANTITY - _SERVICE, 9)
        if not layout.has_room(LEADING * max(len(names), len(codes))):
            layout.break_page()
            headings()
        layout.text(_DAYS, str(len({line.account_id for line in lines})), align="right")
        layout.text(_AMOUNT, bill_text.amount(_net(lines, currency)), align="right")
        _columns(layout, ((LEFT, names, REGULAR, INK, 9.0), (_SERVICE, codes, REGULAR, PALE, 9.0)))
        layout.rule(down=-7.5)
        layout.down(3)
    layout.down(20)


def _table(
    layout: Layout,
    partners: _Partners,
    by_partner: Sequence[tuple[str, Sequence[Line]]],
    currency: str,
    *,
    show_partners: bool,
) -> None:
    """The lines: under each partner its accounts, under each account its services."""

    def headings(continued: str = "") -> None:
        for x, heading, align in _HEADINGS:
            layout.text(x, heading, font=BOLD, size=8, align="left" if align == "left" else "right")
        layout.rule(INK)
        layout.down(15)
        if continued:
            layout.text(LEFT, f"{shortened(continued, 380, 9)} (continued)", size=9, colour=PALE)
            layout.down(14)

    if not layout.has_room(70):
        layout.break_page()
    headings()
    for partner_id, lines in by_partner:
        name = partners.name(partner_id)
        if show_partners:
            if not layout.has_room(50):
                layout.break_page()
                headings()
            layout.text(LEFT, shortened(name, 400, 10, BOLD), font=BOLD, size=10, colour=ACCENT)
            layout.text(
                _AMOUNT,
                bill_text.amount(_net(lines, currency)),
                font=BOLD,
                size=9,
                colour=ACCENT,
                align="right",
            )
            layout.down(15)
        for _, of_account in groupby(lines, key=lambda line: line.account_id):
            _account(layout, list(of_account), currency, partial(headings, name if show_partners else ""))
        layout.down(5)


def _account(layout: Layout, lines: Sequence[Line], currency: str, headings: Callable[[], None]) -> None:
    names = wrapped([lines[0].account_name], _SERVICE - LEFT - 12, 9)
    emails = wrapped([lines[0].account_email], _SERVICE - LEFT - 12, 7.5)
    height = max(len(names) * LEADING + len(emails) * 9.0, len(lines) * LEADING) + 4
    if not layout.has_room(height):
        layout.break_page()
        headings()
    top = layout.y
    for line in lines:
        layout.text(_SERVICE, bill_text.service(line.service, line.kind), size=8.5)
        for x, number in (
            (_QUANTITY, bill_text.number(line.quantity)),
            (_PRICE, bill_text.amount(Money(line.unit_price, currency))),
            (_DISCOUNT, bill_text.percent(line.discount) if line.discount else ""),
            (_DAYS, f"{line.days}/{line.of_days}"),
            (_AMOUNT, bill_text.amount(Money(line.amount, currency))),
        ):
            if number:
                layout.text(x, number, size=8.5, align="right")
        layout.down()
    layout.y, bottom = top, layout.y
    for name in names:
        layout.text(LEFT, name)
        layout.down()
    for email in emails:
        layout.text(LEFT, email, size=7.5, colour=PALE, up=1.0)
        layout.down(9.0)
    layout.y = min(layout.y, bottom)
    layout.rule(down=-7.5)
    layout.down(4)


def _columns(layout: Layout, columns: Iterable[tuple[float, Sequence[str], str, Color, float]]) -> None:
    """Wrapped texts side by side; goes on below the longest."""
    top, lowest = layout.y, layout.y
    for x, lines, font, colour, size in columns:
        layout.y = top
        for line in lines:
            layout.text(x, line, font=font, size=size, colour=colour)
            layout.down()
        lowest = min(lowest, layout.y)
    layout.y = lowest


def _totals(layout: Layout, bill: FrozenBill) -> None:
    if not layout.has_room(70):
        layout.break_page()
    layout.down(6)
    rows = [("Net total", bill.total.net)]
    if bill.tax.reverse_charge:
        rows.append((f"{bill.tax.name or 'Tax'} (reverse charge)", bill.total.tax))
    elif bill.tax.rate or bill.total.tax.minor:
        rows.append((f"{bill.tax.name or 'Tax'} {bill_text.percent(bill.tax.rate)}", bill.total.tax))
    for label, value in rows:
        layout.text(_QUANTITY - 40, label)
        layout.text(_AMOUNT, bill_text.amount(value), align="right")
        layout.down(14)
    layout.rule(INK, left=_QUANTITY - 40, down=-9)
    layout.down(4)
    layout.text(_QUANTITY - 40, "Total", font=BOLD, size=11)
    layout.text(_AMOUNT, bill_text.with_currency(bill.total.gross), font=BOLD, size=11, align="right")
    layout.down(30)


def _notes(layout: Layout, bill: FrozenBill) -> None:
    """How to pay, and what the tax office wants to read."""
    what = {"monthly": "bill", "annual": "invoice", "credit_note": "credit note"}[bill.kind]
    total = bill_text.with_currency(bill.total.gross)
    if bill.credited is not None:
        said = [
            f"Reason: {bill.credited.reason}",
            f"{total} less is owed on bill {bill.credited.reference}.",
        ]
    elif bill.method == "credit_card":
        until = bill_text.day(bill.due_on)
        said = [
            "The total is charged to your active credit card on the day of issue; there is nothing you need to do. "
            f"Should that fail, it is tried again until {until}."
        ]
    else:
        said = [f"Please transfer {total} by {bill_text.day(bill.due_on)}, quoting number {bill.reference}."]
        said += bill.seller["bank"]
    if bill.tax.reverse_charge:
        of_payer = f" ({bill.payer['tax_id']})" if bill.payer.get("tax_id") else ""
        tax = bill.tax.name or "tax"
        said.append(f"Reverse charge: {tax} is to be accounted for by the recipient{of_payer}.")
    if bill.credited is not None:
        said += ["Quantities are those that were billed too much."] if any(bill.lines) else []
    elif bill.kind == "monthly":
        said.append("A line is quantity x price, less discount, for the days shown.")
    else:
        said.append("Billed in advance, for the quantity at the end of the day before the term begins.")
    if bill.seller["email"]:
        said.append(f"Questions about this {what}: {bill.seller['email']}")
    notes(layout, said)


def _net(lines: Iterable[Line], currency: str) -> Money:
    return total_of((Money(line.amount, currency) for line in lines), currency)
