"""Passwords: hashed with argon2id, and refused when too short, too long or common."""

from functools import cache
from unicodedata import normalize

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 8
LONGEST = 128

# OWASP's recommendation for argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_NOBODYS_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$RHw138F03HbFhbvKjY0oiWd97LmOLUYW9nFR181oeW4"
)


def hashed(password: str) -> str:
    """What is stored of a password."""
    return _HASHER.hash(_typed_alike(password))


def matches(password: str, password_hash: str | None) -> bool:
    """Whether it is the password. Without one to compare with the answer is no, after the same work."""
    try:
        _HASHER.verify(password_hash or _NOBODYS_HASH, _typed_alike(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether it was hashed with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)


def weakness(password: str, *, email: str) -> str | None:
    """What is wrong with a password that somebody chose, or None. There are no rules of composition."""
    typed = _typed_alike(password)
    if len(typed) < SHORTEST or len(password) > LONGEST:
        return f"A password has {SHORTEST} to {LONGEST} characters."
    plain, address = typed.casefold(), _typed_alike(email).casefold()
    if plain in (address, address.partition("@")[0]):
        return "Your password cannot be your e-mail address."
    if plain in _common():
        return "This is one of the most common passwords; choose another."
    return None


def _typed_alike(password: str) -> str:
    """One spelling for what keyboards and systems spell differently, such as an accented letter."""
    return normalize("NFKC", password)


@cache
def _common() -> frozenset[str]:
    """The 30,000 most common passwords, lower case. Imported here, because only choosing a password needs
    them.
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]

    return frozenset(FREQUENCY_LISTS["passwords"])
