"""pytest's side of the harness; the conftest names this module in `pytest_plugins`.

Tests marked `races` or `money` refuse to run without the harness. `HARNESS_SEED` sets the seed of the whole
run.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from .clock import FakeClock
from .harness import Harness
from .stripe import FakeStripe
from .swift import Swift

SEED = int(os.environ.get("HARNESS_SEED", "0"))
NEEDING_HARNESS = ("races", "money")


def pytest_configure(config: pytest.Config) -> None:
    for name in NEEDING_HARNESS:
        config.addinivalue_line("markers", f"{name}: refuses to run without the harness")


def pytest_runtest_setup(item: pytest.Item) -> None:
    marked = next((name for name in NEEDING_HARNESS if item.get_closest_marker(name)), None)
    if marked and "harness" not in getattr(item, "fixturenames", ()):
        pytest.fail(f"marked {marked!r}, but does not use the harness", pytrace=False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    harness = getattr(item, "funcargs", {}).get("harness")
    if report.failed and isinstance(harness, Harness):
        lines = [f"seed {harness.seed}; now {harness.clock()}; last swept run: {harness.last_run}"]
        report.sections.append(("harness", "\n".join(lines + [str(call) for call in harness.calls[-20:]])))


@pytest.fixture
def harness() -> Iterator[Harness]:
    """AWS in this process behind the harness, with the portal's clock and ids under its control."""
    from portal import clock, ids

    with ExitStack() as stack:
        on = stack.enter_context(Harness(seed=SEED))
        stack.enter_context(Swift.on(on))
        stack.enter_context(clock.override(on.clock))
        stack.enter_context(ids.override(on.ids))
        yield on
    on.verify()


@pytest.fixture
def fake_clock(harness: Harness) -> FakeClock:
    return harness.clock


@pytest.fixture
def stripe(harness: Harness) -> Iterator[FakeStripe]:
    """The payment provider, which knows nobody yet."""
    from portal.adapters.stripe import _client

    # A new process, that has to read its secrets.
    _client.cache_clear()
    fake = FakeStripe(harness.clock)
    harness.serve("api.stripe.com", fake)
    yield fake
    assert fake.broken == []
