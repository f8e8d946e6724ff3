"""The one clock.

The edge (operation, job, consumer) reads it once per invocation and hands `now` down; nothing else looks at the time.
In the local cloud the whole deployment can be moved in time through a file; tests inject a clock with `override`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from portal.settings import settings

_override: Callable[[], datetime] | None = None


def now() -> datetime:
    """The present instant, aware, UTC, whole milliseconds (what the table stores and compares)."""
    instant = _override() if _override else datetime.now(UTC) + _offset()
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _offset() -> timedelta:
    if not settings.clock_file:
        return timedelta()
    try:
        with open(settings.clock_file) as file:
            return timedelta(seconds=float(file.read() or 0))
    except FileNotFoundError:
        return timedelta()


@contextmanager
def override(source: Callable[[], datetime]) -> Iterator[None]:
    """Let `now` ask `source` while the block runs."""
    global _override
    previous, _override = _override, source
    try:
        yield
    finally:
        _override = previous
