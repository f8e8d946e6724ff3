"""Codes of authenticator apps (RFC 6238), and the recovery codes for whoever has lost theirs."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pyotp

from portal import ids

STEP_SECONDS = 30
DIGITS = 6
_DRIFT = 1
"""Steps by which the app's clock may be off, either way."""
_SECRET_BYTES = 20
RECOVERY_CODES = 10
_RECOVERY_BYTES = 10
_RECOVERY_CHARACTERS = 16
_GROUP = 4


def new_secret() -> str:
    """160 random bits as base32, what RFC 4226 recommends."""
    return ids.base32(_SECRET_BYTES)


def uri(secret: str, *, email: str, issuer: str) -> str:
    """What an app reads from the QR code: `otpauth://totp/...`."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def qr_svg(text: str) -> str:
    """A QR code as an SVG element."""
    # Imported here, because only setting an app up needs it.
    import segno

    return segno.make(text, error="m", micro=False).svg_inline(scale=5)


def step_at(at: datetime) -> int:
    """The number of the time step that an instant lies in."""
    return int(at.timestamp()) // STEP_SECONDS


def code_of(
    secret: str, step: int, *, digits: int = DIGITS, digest: Callable[..., Any] = hashlib.sha1
) -> str:
    """The code of a time step."""
    return pyotp.TOTP(secret, digits=digits, digest=digest, interval=STEP_SECONDS).generate_otp(step)


def matching_step(
    secret: str,
    code: str,
    now: datetime,
    *,
    used: int | None = None,
    digits: int = DIGITS,
    digest: Callable[..., Any] = hashlib.sha1,
) -> int | None:
    """The time step whose code this is: the present one, or one before or after it.

    None where it is none of theirs, or of a step that is not after `used`: each is accepted once.
    """
    present, found = step_at(now), None
    for step in range(max(0, present - _DRIFT), present + _DRIFT + 1):
        right = hmac.compare_digest(code_of(secret, step, digits=digits, digest=digest), code)
        if right and found is None and (used is None or step > used):
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """80 random bits each, in groups that are easy to copy: `mfrg-gzdf-mztw-q2lk`."""
    return [_grouped(ids.base32(_RECOVERY_BYTES).lower()) for _ in range(RECOVERY_CODES)]


def recovery_hash(code: str, user_id: str) -> str:
    """What is stored of a recovery code, however it was typed. It is random, so a plain hash tells nobody what it was."""
    typed = "".join(each for each in code.lower() if each.isalnum())
    return hashlib.sha256(f"{user_id} {typed}".encode(errors="replace")).hexdigest()


def _grouped(code: str) -> str:
    return "-".join(code[first : first + _GROUP] for first in range(0, _RECOVERY_CHARACTERS, _GROUP))
