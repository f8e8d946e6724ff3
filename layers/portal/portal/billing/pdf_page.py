"""What the documents of billing are drawn with: their fonts, their head, and how text is laid out on A4 pages.

The text is set in Source Sans (Latin, Greek, Cyrillic, Vietnamese). Names in Chinese, Japanese or Korean are
set in the fonts that PDF readers have for them; what no font has is shown as a question mark.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from io import BytesIO
from typing import Any, Literal

from reportlab import rl_config
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

REGULAR, BOLD = "SourceSans", "SourceSans-Bold"
_FILES = {REGULAR: "SourceSansPro-Regular.ttf", BOLD: "SourceSansPro-Bold.ttf"}
_CHINESE, _JAPANESE, _KOREAN = "STSong-Light", "HeiseiKakuGo-W5", "HYGothic-Medium"

_WIDTH, _HEIGHT = A4
LEFT, RIGHT = 42.0, _WIDTH - 42.0
TOP, BOTTOM = _HEIGHT - 42.0, 52.0
INK, PALE, ACCENT, RULE, SHADE = (
    HexColor(each) for each in (0x1B2430, 0x66717F, 0x1A56DB, 0xD5DAE1, 0xF3F6FB)
)
LEADING = 11.0
"""From one line of the usual size to the next."""


@dataclass(slots=True)
class Page:
    """What is drawn on one page, collected before: the footer says how many pages there are."""

    texts: list[tuple[float, float, str, str, float, Color]] = field(default_factory=list)
    """x, y, text, font, size, colour"""
    rules: list[tuple[float, float, float, Color]] = field(default_factory=list)
    """From x to x at y."""
    boxes: list[tuple[float, float, float, float, Color]] = field(default_factory=list)
    """x, y, width, height: behind everything else."""


class Layout:
    """Lays text out from the top of the first page downwards."""

    def __init__(self) -> None:
        self.pages = [Page()]
        self.y = TOP

    def text(
        self,
        x: float,
        text: str,
        *,
        font: str = REGULAR,
        size: float = 9.0,
        colour: Color = INK,
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

    def rule(self, colour: Color = RULE, *, left: float = LEFT, down: float = 3.0) -> None:
        self.pages[-1].rules.append((left, RIGHT, self.y - down, colour))

    def down(self, by: float = LEADING) -> None:
        self.y -= by

    def break_page(self) -> None:
        self.pages.append(Page())
        self.y = TOP

    def has_room(self, height: float) -> bool:
        return bool(self.y - height >= BOTTOM)


def head(layout: Layout, seller: Mapping[str, Any], title: str) -> None:
    """Who the document is from, and what it is."""
    mark = 26.0
    layout.pages[-1].boxes.append((LEFT, layout.y - mark + 8, mark, mark, ACCENT))
    initials = "".join(word[0] for word in seller["name"].split()[:2]).upper()
    layout.text(LEFT + 5.5, initials, font=BOLD, size=13, colour=HexColor(0xFFFFFF), up=-9.5)
    layout.text(LEFT + mark + 9, seller["name"], font=BOLD, size=15, up=-10)
    layout.text(RIGHT, title, font=BOLD, size=19, align="right", up=-10)
    layout.down(34)
    from_lines = [*seller["address"], *labelled("Tax id", seller["tax_id"]), *labelled("", seller["email"])]
    for line in wrapped(from_lines, 300, 8.5):
        layout.text(LEFT, line, size=8.5, colour=PALE)
        layout.down(10.5)
    layout.down(18)


def facts(
    layout: Layout,
    payer: Mapping[str, Any],
    whose: str,
    rows: Iterable[tuple[str, str]],
    band: tuple[str, str],
) -> None:
    """The payer on the left under the words `whose`, facts with their labels on the right, and below what it comes to: in
    words, and the amount.
    """
    start = layout.y
    layout.text(LEFT, whose, size=8, colour=PALE)
    layout.down(13)
    for line in wrapped([payer["name"]], 260, 11, BOLD):
        layout.text(LEFT, line, font=BOLD, size=11)
        layout.down(13)
    address = payer.get("address") or [payer.get("country") or ""]
    to_lines = [*address, payer.get("email") or "", *labelled("Tax id", payer.get("tax_id"))]
    for line in wrapped(to_lines, 260, 9):
        layout.text(LEFT, line)
        layout.down(11.5)
    left_end, layout.y = layout.y, start
    for label, value in rows:
        layout.text(322, label, size=8.5, colour=PALE)
        layout.text(RIGHT, value, align="right")
        layout.down(13.5)
    layout.y = min(left_end, layout.y) - 22
    layout.pages[-1].boxes.append((LEFT, layout.y - 16, RIGHT - LEFT, 34, SHADE))
    words, amount = band
    layout.text(LEFT + 12, words, size=10, up=-2.5)
    layout.text(RIGHT - 12, amount, font=BOLD, size=14, align="right", up=-4)
    layout.down(44)


def notes(layout: Layout, said: Iterable[str]) -> None:
    """Paragraphs at the end, all on one page."""
    lines = wrapped(said, RIGHT - LEFT, 9)
    if not layout.has_room(len(lines) * 13):
        layout.break_page()
    for line in lines:
        layout.text(LEFT, line, size=9)
        layout.down(13)


def drawn(pages: Sequence[Page], title: str, author: str, subject: str) -> bytes:
    """The pages as a PDF that holds no date and no random id."""
    file = BytesIO()
    canvas = Canvas(file, pagesize=A4, pageCompression=1, invariant=1, initialFontName=REGULAR)
    canvas.setTitle(title)
    canvas.setAuthor(author)
    canvas.setCreator(author)
    canvas.setSubject(subject)
    for number, page in enumerate(pages, start=1):
        for x, y, width, height, colour in page.boxes:
            canvas.setFillColor(colour)
            canvas.roundRect(x, y, width, height, 4, stroke=0, fill=1)
        canvas.setLineWidth(0.5)
        for left, right, y, colour in page.rules:
            canvas.setStrokeColor(colour)
            canvas.line(left, y, right, y)
        footer = [
            (LEFT, 30.0, author, REGULAR, 8.0, PALE),
            (_WIDTH / 2 - _width(title, REGULAR, 8.0) / 2, 30.0, title, REGULAR, 8.0, PALE),
        ]
        of_pages = f"Page {number} of {len(pages)}"
        footer.append((RIGHT - _width(of_pages, REGULAR, 8.0), 30.0, of_pages, REGULAR, 8.0, PALE))
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


def labelled(label: str, value: str | None) -> list[str]:
    return [f"{label} {value}".strip()] if value else []


# Text and fonts


@cache
def set_up() -> None:
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


def wrapped(texts: Iterable[str], width: float, size: float, font: str = REGULAR) -> list[str]:
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


def shortened(text: str, width: float, size: float, font: str = REGULAR) -> str:
    """The text, or what of it fits with an ellipsis."""
    first, *rest = wrapped([text], width, size, font) or [""]
    return f"{first}\u2026" if rest else first
