"""Striking every call of something with every fault, and having it done again: as if the first time had been carried out
whole, or had never come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.remains import remains, stored
from tests.support import Harness
from tests.world import World

LATER: tuple[dict[str, float], ...] = ({"minutes": 1}, {"hours": 25})


@dataclass(frozen=True)
class Left:
    """What somebody who does a thing again is answered, and what is there then."""

    answer: str
    things: list[str]


def sweep(
    harness: Harness, world: World, act: Callable[[], str], *, whole: bool = False, once: bool = False
) -> int:
    """Strike each call that the action makes with a crash before it, a crash after it and an answer that gets lost, and do
    it again a minute and 25 hours later; returns the number of runs.

    What is left then, and what is answered, must be what comes of doing it twice undisturbed, or once, later. With
    `whole` nothing may be found half-done in between either; with `once` doing it twice must be the same as once.
    """
    since, start = stored(), harness.snapshot()
    untouched = remains(since)

    def left(*steps: Callable[[], Any]) -> Left:
        harness.restore(start)
        answers = [step() for step in steps]
        return Left(str(answers[-1]), remains(since))

    done = left(act).things
    assert done != untouched or not whole, "it changes nothing"
    expected = []
    for later in LATER:
        wait = lambda later=later: world.advance(**later)  # noqa: E731
        expected.append((later, (left(act, wait, act), left(wait, act))))
        assert not once or expected[-1][1][0].things == done, (
            f"what was asked for twice is done twice: {later}"
        )
    harness.restore(start)
    runs = 0
    for run in harness.sweep(act):
        struck = harness.snapshot()
        if whole:
            assert remains(since) in (untouched, done), f"half-done: {run}"
        for later, fitting in expected:
            world.advance(**later)
            again = Left(str(act()), remains(since))
            assert again in fitting, _told(f"{run}, done again after {later}", again, fitting)
            harness.restore(struck)
            runs += 1
    return runs


def _told(what: str, came: Left, fitting: tuple[Left, ...]) -> str:
    lines = [what]
    for name, other in zip(("done twice", "done once, later"), fitting, strict=True):
        lines += [
            f"  not as when {name}:",
            f"    answer {came.answer[:300]}",
            f"    instead of {other.answer[:300]}",
        ]
        lines += [f"    + {each[:700]}" for each in came.things if each not in other.things]
        lines += [f"    - {each[:700]}" for each in other.things if each not in came.things]
        lines += [f"    {len(came.things)} things instead of {len(other.things)}"]
    return "\n".join(lines)
