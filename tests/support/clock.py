"""Time and chance under the test's control."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any


class FakeClock:
    """A clock that stands still until it is told otherwise. Call it for the aware UTC instant."""

    def __init__(self, start: datetime | str = "2023-01-01T00:00:00+00:00") -> None:
        self._now = _instant(start)

    def __call__(self) -> datetime:
        return self._now

    def set(self, to: datetime | str) -> datetime:
        """Go to an instant (aware, or ISO text; text without an offset is UTC), also backwards."""
        self._now = _instant(to)
        return self._now

    def advance(self, **by: float) -> datetime:
        """Go on by `timedelta`'s arguments: `advance(minutes=1)`."""
        self._now += timedelta(**by)
        return self._now

    def snapshot(self) -> datetime:
        return self._now

    def restore(self, state: datetime) -> None:
        self._now = state


class RandomState:
    """Lets a random generator be rewound."""

    def __init__(self, generator: Random) -> None:
        self._generator = generator

    def snapshot(self) -> Any:
        return self._generator.getstate()

    def restore(self, state: Any) -> None:
        self._generator.setstate(state)


class SeededBytes(RandomState):
    """A source of bytes that gives the same sequence for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(Random(seed))

    def __call__(self, n_bytes: int) -> bytes:
        return self._generator.randbytes(n_bytes)


def _instant(value: datetime | str) -> datetime:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    if at.tzinfo is None:
        if not isinstance(value, str):
            raise ValueError(f"a naive instant: {value!r}")
        at = at.replace(tzinfo=UTC)
    return at.astimezone(UTC)
