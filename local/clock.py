"""The local cloud's clock: python -m local.clock [<date or instant> | now]

All functions of the local cloud read how far their clock is moved from one file; moving it needs no
restart. AWS has no such file.
"""

import sys
from datetime import UTC, datetime, timedelta

from local.cloud import CLOCK_FILE


def now() -> datetime:
    """The present instant in the local cloud."""
    return datetime.now(UTC) + offset()


def offset() -> timedelta:
    return timedelta(seconds=float(CLOCK_FILE.read_text() or 0)) if CLOCK_FILE.exists() else timedelta()


def move_to(instant: datetime) -> None:
    """Make it `instant` in the local cloud; time goes on from there."""
    _write(instant - datetime.now(UTC))


def back_to_now() -> None:
    CLOCK_FILE.unlink(missing_ok=True)


def _write(by: timedelta) -> None:
    CLOCK_FILE.parent.mkdir(exist_ok=True)
    fresh = CLOCK_FILE.with_suffix(".new")
    fresh.write_text(f"{by.total_seconds():.6f}")
    fresh.replace(CLOCK_FILE)


def main(arguments: list[str]) -> str | None:
    if arguments == ["now"]:
        back_to_now()
    elif arguments:
        try:
            instant = datetime.fromisoformat(arguments[0])
        except ValueError:
            return f"{arguments[0]!r} is no date or instant: say 2026-12-24, 2026-12-24T06:30+00:00 or now."
        move_to(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
    print(f"It is {now():%A, %Y-%m-%d %H:%M:%S} UTC in the local cloud.")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
