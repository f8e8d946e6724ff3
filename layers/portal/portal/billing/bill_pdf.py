"""A bill as a PDF, from what was frozen when it was issued: the same bytes every time.

The text is set in Source Sans (Latin, Greek, Cyrillic, Vietnamese). Names in Chinese, Japanese or Korean are
set in the fonts that PDF readers have for them; what no font has is shown as a question mark.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from importlib import resources
from io import BytesIO
from itertools import groupby
from typing import Literal

from reportlab import rl_config
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from portal.billing import bill_text
from portal.billing.lines import FrozenBill
from portal.billing.rating import Line
from portal.money import Money, total_of
from portal.tree import DIRECT

REGULAR, BOLD = "SourceSans", "SourceSans-Bold"
_FILES = {REGULAR: "SourceSansPro-Regular.ttf", BOLD: "SourceSansPro-Bold.ttf"}
_CHINESE, _JAPANESE, _KOREAN = "STSong-Light", "HeiseiKakuGo-W5", "HYGothic-Medium"

_WIDTH, _HEIGHT = A4
_LEFT, _RIGHT = 42.0, _WIDTH - 42.0
_TOP, _BOTTOM = _HEIGHT - 42.0, 52.0
_INK, _PALE, _ACCENT, _RULE, _SHADE = (
    HexColor(each) for each in (0x1B2430, 0x66717F, 0x1A56DB, 0xD5DAE1, 0xF3F6FB)
)

# Columns of the table of lines: where a text begins, or a number ends.
_SERVICE, _QUANTITY, _PRICE, _DISCOUNT, _DAYS, _AMOUNT = 246.0, 382.0, 427.0, 466.0, 506.0, _RIGHT
_HEADINGS = (
    (_LEFT, "Account", "left"), (_SERVICE, "Service", "left"), (_QUANTITY, "Quantity", "right"),
    (_PRICE, "Price", "right"), (_DISCOUNT, "Discount", "right"), (_DAYS, "Days", "right"),
    (_AMOUNT, "Amount", "right"),
)  # fmt: skip
_LEADING = 11.0


@dataclass(slots=True)
class _Page:
    """What is drawn on one page, collected before: the footer says how many pages there are."""

    texts: list[tuple[float, float, str, str, float, Color]] = field(default_factory=list)
    """x, y, text, font, size, colour"""
    rules: list[tuple[float, float, float, Color]] = field(default_factory=list)
    """From x to x at y."""
    boxes: list[tuple[float, float, float, float, Color]] = field(default_factory=list)
    """x, y, width, height: behind everything else."""


class _Layout:
    """Lays text out from the top of the first page downwards."""

    def __init__(self) -> None:
        self.pages = [_Page()]
        self.y = _TOP

    def text(
        self,
        x: float,
        text: str,
        *,
        font: str = REGULAR,
        size: float = 9.0,
        colour: Color = _INK,
        align: Literal["left", "right"] = "left",
        up: float = 0.0,
    ) -> None:
        """One line of text that begins, or ends, at x; `up` points above the present height."""
        for run_font, run in _runs(text, font):
            width = _width(run, run_font, size) if align == "right" or run_font != font else 0.0
            self.pages[-1].texts.append(
                (x - width if align == "right" else x, self.y + up, run, run_font, size, colour)
            )
            x += width if align == "left" else 0.0

    def rule(self, colour: Color = _RULE, *, left: float = _LEFT, down: float = 3.0) -> None:
        self.pages[-1].rules.append((left, _RIGHT, self.y - down, colour))

    def down(self, by: float = _LEADING) -> None:
        self.y -= by

    def break_page(self) -> None:
        self.pages.append(_Page())
        self.y = _TOP

    def has_room(self, height: float) -> bool:
        return bool(self.y - height >= _BOTTOM)


def render(bill: FrozenBill) -> bytes:
    """The document of an issued bill."""
    _set_up()
    layout = _Layout()
    partners = _Partners(bill.partners)
    _head(layout, bill)
    _facts(layout, bill)
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
    return _drawn(layout.pages, bill)


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


def _head(layout: _Layout, bill: FrozenBill) -> None:
    seller = bill.seller
    mark = 26.0
    layout.pages[-1].boxes.append((_LEFT, layout.y - mark + 8, mark, mark, _ACCENT))
    initials = "".join(word[0] for word in seller["name"].split()[:2]).upper()
    layout.text(_LEFT + 5.5, initials, font=BOLD, size=13, colour=HexColor(0xFFFFFF), up=-9.5)
    layout.text(_LEFT + mark + 9, seller["name"], font=BOLD, size=15, up=-10)
    layout.text(_RIGHT, _title(bill), font=BOLD, size=19, align="right", up=-10)
    layout.down(34)
    from_lines = [*seller["address"], *_labelled("Tax id", seller["tax_id"]), *_labelled("", seller["email"])]
    for line in _wrapped(from_lines, 300, 8.5):
        layout.text(_LEFT, line, size=8.5, colour=_PALE)
        layout.down(10.5)
    layout.down(18)


def _facts(layout: _Layout, bill: FrozenBill) -> None:
    """Who is billed on the left, the bill's dates on the right, what is to be paid below."""
    payer, start = bill.payer, layout.y
    layout.text(_LEFT, "Billed to", size=8, colour=_PALE)
    layout.down(13)
    for line in _wrapped([payer["name"]], 260, 11, BOLD):
        layout.text(_LEFT, line, font=BOLD, size=11)
        layout.down(13)
    address = payer.get("address") or [payer.get("country") or ""]
    to_lines = [*address, payer.get("email") or "", *_labelled("Tax id", payer.get("tax_id"))]
    for line in _wrapped(to_lines, 260, 9):
        layout.text(_LEFT, line)
        layout.down(11.5)
    left_end, layout.y = layout.y, start
    for label, value in _dates(bill):
        layout.text(322, label, size=8.5, colour=_PALE)
        layout.text(_RIGHT, value, align="right")
        layout.down(13.5)
    layout.y = min(left_end, layout.y) - 22
    layout.pages[-1].boxes.append((_LEFT, layout.y - 16, _RIGHT - _LEFT, 34, _SHADE))
    layout.text(_LEFT + 12, _what_to_do(bill), size=10, up=-2.5)
    layout.text(
        _RIGHT - 12, bill_text.with_currency(bill.total.gross), font=BOLD, size=14, align="right", up=-4
    )
    layout.down(44)


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
    how = "Charged to your card on" if bill.method == "credit_card" else "To pay by"
    return f"{how} {bill_text.day(bill.due_on)}"


def _summary(
    layout: _Layout, partners: _Partners, by_partner: Sequence[tuple[str, Sequence[Line]]], currency: str
) -> None:
    """What each partner's accounts come to."""

    def headings() -> None:
        layout.text(_LEFT, "Partner", font=BOLD, size=8)
        layout.text(_SERVICE, "Partner ID", font=BOLD, size=8)
        layout.text(_DAYS, "Accounts", font=BOLD, size=8, align="right")
        layout.text(_AMOUNT, "Amount", font=BOLD, size=8, align="right")
        layout.rule(_INK)
        layout.down(15)

    layout.text(_LEFT, "Summary", font=BOLD, size=11)
    layout.down(17)
    headings()
    for partner_id, lines in by_partner:
        names = _wrapped([partners.name(partner_id)], _SERVICE - _LEFT - 10, 9)
        codes = _wrapped([partners.code(partner_id)], _QUANTITY - _SERVICE, 9)
        if not layout.has_room(_LEADING * max(len(names), len(codes))):
            layout.break_page()
            headings()
        layout.text(_DAYS, str(len({line.account_id for line in lines})), align="right")
        layout.text(_AMOUNT, bill_text.amount(_net(lines, currency)), align="right")
        _columns(layout, ((_LEFT, names, REGULAR, _INK, 9.0), (_SERVICE, codes, REGULAR, _PALE, 9.0)))
        layout.rule(down=-7.5)
        layout.down(3)
    layout.down(20)


def _table(
    layout: _Layout,
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
        layout.rule(_INK)
        layout.down(15)
        if continued:
            layout.text(_LEFT, f"{_shortened(continued, 380, 9)} (continued)", size=9, colour=_PALE)
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
            layout.text(_LEFT, _shortened(name, 400, 10, BOLD), font=BOLD, size=10, colour=_ACCENT)
            layout.text(
                _AMOUNT,
                bill_text.amount(_net(lines, currency)),
                font=BOLD,
                size=9,
                colour=_ACCENT,
                align="right",
            )
            layout.down(15)
        for _, of_account in groupby(lines, key=lambda line: line.account_id):
            _account(layout, list(of_account), currency, partial(headings, name if show_partners else ""))
        layout.down(5)


def _account(layout: _Layout, lines: Sequence[Line], currency: str, headings: Callable[[], None]) -> None:
    names = _wrapped([lines[0].account_name], _SERVICE - _LEFT - 12, 9)
    emails = _wrapped([lines[0].account_email], _SERVICE - _LEFT - 12, 7.5)
    height = max(len(names) * _LEADING + len(emails) * 9.0, len(lines) * _LEADING) + 4
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
        layout.text(_LEFT, name)
        layout.down()
    for email in emails:
        layout.text(_LEFT, email, size=7.5, colour=_PALE, up=1.0)
        layout.down(9.0)
    layout.y = min(layout.y, bottom)
    layout.rule(down=-7.5)
    layout.down(4)


def _columns(layout: _Layout, columns: Iterable[tuple[float, Sequence[str], str, Color, float]]) -> None:
    """Wrapped texts side by side; goes on below the longest."""
    top, lowest = layout.y, layout.y
    for x, lines, font, colour, size in columns:
        layout.y = top
        for line in lines:
            layout.text(x, line, font=font, size=size, colour=colour)
            layout.down()
        lowest = min(lowest, layout.y)
    layout.y = lowest


def _totals(layout: _Layout, bill: FrozenBill) -> None:
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
    layout.rule(_INK, left=_QUANTITY - 40, down=-9)
    layout.down(4)
    layout.text(_QUANTITY - 40, "Total", font=BOLD, size=11)
    layout.text(_AMOUNT, bill_text.with_currency(bill.total.gross), font=BOLD, size=11, align="right")
    layout.down(30)


def _notes(layout: _Layout, bill: FrozenBill) -> None:
    """How to pay, and what the tax office wants to read."""
    what = {"monthly": "bill", "annual": "invoice", "credit_note": "credit note"}[bill.kind]
    total = bill_text.with_currency(bill.total.gross)
    if bill.credited is not None:
        notes = [
            f"Reason: {bill.credited.reason}",
            f"{total} less is owed on bill {bill.credited.reference}.",
        ]
    elif bill.method == "credit_card":
        notes = ["The total is charged to your active credit card; there is nothing you need to do."]
    else:
        notes = [f"Please transfer {total} by {bill_text.day(bill.due_on)}, quoting number {bill.reference}."]
        notes += bill.seller["bank"]
    if bill.tax.reverse_charge:
        of_payer = f" ({bill.payer['tax_id']})" if bill.payer.get("tax_id") else ""
        tax = bill.tax.name or "tax"
        notes.append(f"Reverse charge: {tax} is to be accounted for by the recipient{of_payer}.")
    if bill.credited is not None:
        notes += ["Quantities are those that were billed too much."] if any(bill.lines) else []
    elif bill.kind == "monthly":
        notes.append("A line is quantity x price, less discount, for the days shown.")
    else:
        notes.append("Billed in advance, for the quantity at the end of the day before the term begins.")
    if bill.seller["email"]:
        notes.append(f"Questions about this {what}: {bill.seller['email']}")
    lines = _wrapped(notes, _RIGHT - _LEFT, 9)
    if not layout.has_room(len(lines) * 13):
        layout.break_page()
    for line in lines:
        layout.text(_LEFT, line, size=9)
        layout.down(13)


def _drawn(pages: Sequence[_Page], bill: FrozenBill) -> bytes:
    """The pages as a PDF that holds no date and no random id."""
    file = BytesIO()
    canvas = Canvas(file, pagesize=A4, pageCompression=1, invariant=1, initialFontName=REGULAR)
    title = _title(bill)
    canvas.setTitle(title)
    canvas.setAuthor(bill.seller["name"])
    canvas.setCreator(bill.seller["name"])
    canvas.setSubject(bill_text.days(bill.period))
    for number, page in enumerate(pages, start=1):
        for x, y, width, height, colour in page.boxes:
            canvas.setFillColor(colour)
            canvas.roundRect(x, y, width, height, 4, stroke=0, fill=1)
        canvas.setLineWidth(0.5)
        for left, right, y, colour in page.rules:
            canvas.setStrokeColor(colour)
            canvas.line(left, y, right, y)
        footer = [
            (_LEFT, 30.0, bill.seller["name"], REGULAR, 8.0, _PALE),
            (_WIDTH / 2 - _width(title, REGULAR, 8.0) / 2, 30.0, title, REGULAR, 8.0, _PALE),
        ]
        of_pages = f"Page {number} of {len(pages)}"
        footer.append((_RIGHT - _width(of_pages, REGULAR, 8.0), 30.0, of_pages, REGULAR, 8.0, _PALE))
        _write(canvas, [*page.texts, *footer])
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _write(canvas: Canvas, texts: Iterable[tuple[float, float, str, str, float, Color]]) -> None:
    """All texts of a page in one text object, which is several times faster than one each."""
    written = canvas.beginText()
    set_to: tuple[str, float, Color] | None = None
    for x, y, text, font, size, colour in texts:
        if set_to != (font, size, colour):
            if set_to is None or set_to[2] is not colour:
                written.setFillColor(colour)
            written.setFont(font, size)
            set_to = font, size, colour
        written.setTextOrigin(x, y)
        written.textOut(text)
    canvas.drawText(written)


def _net(lines: Iterable[Line], currency: str) -> Money:
    return total_of((Money(line.amount, currency) for line in lines), currency)


def _labelled(label: str, value: str | None) -> list[str]:
    return [f"{label} {value}".strip()] if value else []


# Text and fonts


@cache
def _set_up() -> None:
    """Register the fonts, once per process."""
    rl_config.useA85 = 0  # streams as they are; as text they would be a quarter larger
    folder = resources.files("font_source_sans_pro") / "files"
    for name, file in _FILES.items():
        with resources.as_file(folder / file) as path:
            pdfmetrics.registerFont(TTFont(name, str(path)))
    for name in (_CHINESE, _JAPANESE, _KOREAN):
        pdfmetrics.registerFont(UnicodeCIDFont(name))


@cache
def _glyphs(font: str) -> frozenset[int]:
    return frozenset(pdfmetrics.getFont(font).face.charToGlyph)


@lru_cache(20_000)
def _width(text: str, font: str, size: float) -> float:
    width: float = pdfmetrics.stringWidth(text, font, size)
    return width


def _runs(text: str, font: str) -> Iterator[tuple[str, str]]:
    """The text in pieces of one font each."""
    if text.isascii() and text.isprintable():
        return iter(((font, text),))
    glyphs, composed = _glyphs(font), unicodedata.normalize("NFC", text)
    if all(ord(letter) in glyphs for letter in composed):
        return iter(((font, composed),))
    japanese = any("\u3040" <= letter <= "\u30ff" for letter in composed)
    pieces: list[tuple[str, str]] = []
    for letter in composed:
        of_letter, shown = _font_of(letter, font, glyphs, japanese)
        if pieces and pieces[-1][0] == of_letter:
            pieces[-1] = of_letter, pieces[-1][1] + shown
        else:
            pieces.append((of_letter, shown))
    return iter(pieces)


def _font_of(letter: str, font: str, glyphs: frozenset[int], japanese: bool) -> tuple[str, str]:
    """Which font has a letter, and what to print for it."""
    if ord(letter) in glyphs:
        return font, letter
    if "\uac00" <= letter <= "\ud7a3":
        return _KOREAN, letter
    if "\u3000" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef":
        return (_JAPANESE if japanese else _CHINESE), letter
    return font, "" if unicodedata.category(letter) in ("Mn", "Cf", "Cc") else "?"


def _text_width(text: str, font: str, size: float) -> float:
    return sum(_width(run, run_font, size) for run_font, run in _runs(text, font))


def _wrapped(texts: Iterable[str], width: float, size: float, font: str = REGULAR) -> list[str]:
    """Texts broken into lines of at most this width: between words where it can be, else within them."""
    lines: list[str] = []
    for text in filter(None, texts):
        if _text_width(text, font, size) <= width:
            lines.append(text)
            continue
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if _text_width(longer, font, size) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            *full, line = _cut(word, width, size, font)
            lines += full
        lines.append(line)
    return lines


def _cut(word: str, width: float, size: float, font: str) -> list[str]:
    """A word in pieces that fit."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and _text_width(pieces[-1] + letter, font, size) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _shortened(text: str, width: float, size: float, font: str = REGULAR) -> str:
    """The text, or what of it fits with an ellipsis."""
    first, *rest = _wrapped([text], width, size, font) or [""]
    return f"{first}\u2026" if rest else first
