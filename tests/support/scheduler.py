"""Threads that race, in an order a seed decides.

Only one thread runs at a time. Before each API call (and each HTTP call) it hands the turn to whichever
thread the seed picks, so an interleaving is a number that can be run again.
"""

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from random import Random
from typing import Any

PATIENCE = 20
"""Seconds of real time without a turn after which a race counts as stuck."""


class SchedulerStuck(AssertionError):
    """A thread waits for something that another one holds while it has no turn, such as a lock across an API
    call.
    """


@dataclass(frozen=True)
class Outcome:
    """What one run ended with: `result`, or `error`."""

    result: Any = None
    error: BaseException | None = None

    @property
    def ok(self) -> bool:
        return self.error is None

    def get(self) -> Any:
        """The result; raises the error if there was one."""
        if self.error is not None:
            raise self.error
        return self.result


def attempt(function: Callable[[], Any]) -> Outcome:
    """Run to the end or to the Crash."""
    try:
        return Outcome(result=function())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return Outcome(error=error)


def run_free(functions: Sequence[Callable[[], Any]]) -> list[Outcome]:
    """Run all at once, from a barrier, as the operating system likes."""
    barrier = threading.Barrier(len(functions))
    outcomes: list[Outcome | None] = [None] * len(functions)

    def body(number: int) -> None:
        barrier.wait()
        outcomes[number] = attempt(functions[number])

    threads = [
        threading.Thread(target=copy_context().run, args=(body, number), daemon=True)
        for number in range(len(functions))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcome for outcome in outcomes if outcome is not None]


class Scheduler:
    """Runs functions in threads, one at a time, switching where `turn` is called."""

    def __init__(self, functions: Sequence[Callable[[], Any]], seed: int) -> None:
        self._functions = functions
        self._random = Random(seed)
        self._batons = [threading.Semaphore(0) for _ in functions]
        self._alive = list(range(len(functions)))
        self._numbers: dict[int, int] = {}
        self._outcomes = [Outcome()] * len(functions)
        self._done = threading.Event()
        self._abandoned = False
        self.turns: list[int] = []
        """Which function got each turn: the interleaving."""

    def run(self) -> list[Outcome]:
        threads = [
            threading.Thread(target=copy_context().run, args=(self._body, number), daemon=True)
            for number in range(len(self._functions))
        ]
        for thread in threads:
            thread.start()
        self._pass_on()
        self._watch()
        for thread in threads:
            thread.join(PATIENCE)
        if self._abandoned:
            raise SchedulerStuck(
                f"no thread came to its next call within {PATIENCE} s; turns so far {self.turns}"
            )
        return self._outcomes

    def turn(self) -> None:
        """Let the seed decide who goes on. Returns at once in threads that are not in the race."""
        number = self._numbers.get(threading.get_ident())
        if number is None or self._abandoned:
            return
        if self._pass_on() != number:
            self._batons[number].acquire()
        else:
            self._batons[number].acquire(blocking=False)

    def _pass_on(self) -> int:
        chosen = self._random.choice(self._alive)
        self.turns.append(chosen)
        self._batons[chosen].release()
        return chosen

    def _body(self, number: int) -> None:
        self._numbers[threading.get_ident()] = number
        self._batons[number].acquire()
        try:
            self._outcomes[number] = attempt(self._functions[number])
        finally:
            del self._numbers[threading.get_ident()]
            self._alive.remove(number)
            if self._alive:
                self._pass_on()
            else:
                self._done.set()

    def _watch(self) -> None:
        before = -1
        while not self._done.wait(PATIENCE):
            if len(self.turns) == before:
                self._abandoned = True
                for baton in self._batons:
                    baton.release()
                return
            before = len(self.turns)
