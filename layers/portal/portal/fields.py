"""Texts in requests: bounded, trimmed, on one line."""

import re
from typing import Annotated
from unicodedata import category

from pydantic import AfterValidator, StringConstraints

_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
_DRAWN_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols to Unicode, nothing to the eye: Hangul fillers and the Braille blank."""


def _to_be_seen(text: str) -> str:
    if not any(category(each)[0] in "LNPS" and each not in _DRAWN_BLANK for each in text):
        raise ValueError("This has no visible character.")
    return text


VISIBLE = AfterValidator(_to_be_seen)
"""At least one letter, digit, sign or symbol."""

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=_ONE_LINE),
    VISIBLE,
]
"""Of a company, a person, a task."""

Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=_ONE_LINE)]
"""Any short text, the empty one too."""

Country = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=2, max_length=60, pattern=_ONE_LINE),
    VISIBLE,
]
"""A country's name or code, as its owner writes it."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""


def _e164(text: str) -> str:
    digits = re.sub(r"[ ().-]", "", text)
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", digits):
        raise ValueError("Give the number with its country code, such as +352 27 12 34.")
    return digits


Phone = Annotated[str, StringConstraints(strip_whitespace=True, max_length=40), AfterValidator(_e164)]
"""An international telephone number, kept without spaces as E.164 has it: `+352271234`."""

OwnCode = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
]
"""An identifier that somebody else gave out, such as a distributor's own Partner ID."""
