"""Messages of several kinds about one distributor, in any order and any number of times: the same is left as by each once.

The engine's events are shuffled in `test_usage_faults.py`, the payment provider's in `test_charging_faults.py`.
"""

import random
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from itertools import permutations
from typing import Any

import pytest

from portal.accounts.records import get_account_at
from portal.change import Change
from portal.distributors.records import schedule
from portal.scope import EVERYTHING
from portal.table import Update, stage, write
from portal.tree import Node
from tests.books import (
    a_payer,
    an_account,
    bills,
    check_books,
    node_of,
    outbox,
    run_month,
    store,
)
from tests.remains import remains, stored
from tests.support import Harness
from tests.world import World

pytestmark = pytest.mark.money

NOW = datetime(2023, 1, 24, 2, tzinfo=UTC)


@pytest.fixture
def north(world: World) -> Node:
    """A distributor on its payment day, with an overdue bill, a trial that has ended by subscribing itself, an account to
    be invoiced for a year, and a night's usage to be counted.
    """
    north = a_payer(date(2022, 11, 1))
    store(
        [
            *an_account(north, 1, subscribed_on=date(2022, 11, 24)),
            *an_account(north, 2, plan=None),
            schedule(north, "usage", NOW.replace(hour=0)),
        ]
    )
    world.now = datetime(2022, 12, 24, 2, tzinfo=UTC)
    run_month(world)
    world.now = NOW
    ends_at = datetime(2023, 1, 20, 12, tzinfo=UTC)
    trial = Change(
        trial_ends_at=ends_at,
        trial_stage="expiring",
        lifecycle="trial",
        lifecycle_at=ends_at,
        subscription_default={"mode": "trial_with_auto_subscription", "plan": "monthly"},
    )
    write([stage(Update(get_account_at(EVERYTHING, node_of(north, 2)), trial))])
    store(an_account(north, 3, plan="annual", subscribed_on=date(2023, 1, 24)))
    return north


def messages(world: World, north: Node) -> dict[str, tuple[str, dict[str, Any]]]:
    """By name, the worker and what it is told."""
    of_north = {"distributor_id": north.distributor}
    unpaid = next(bill for bill in bills(north) if bill.reference)
    return {
        "usage": ("billing.on_usage_due", {**of_north, "as_of": world.now.isoformat()}),
        "monthly": ("billing.on_billing_due", {"kind": "monthly", **of_north}),
        "annual": ("billing.on_billing_due", {"kind": "annual", "account": str(node_of(north, 3))}),
        "trial": ("subscriptions.on_trial_due", {"account": str(node_of(north, 2))}),
        "overdue": ("billing.on_bill_due", {**of_north, "bill_sk": unpaid.sk}),
    }


def test_each_message_once_twice_or_five_times_leaves_the_same(
    world: World, harness: Harness, north: Node
) -> None:
    since, start = stored(), harness.snapshot()
    for name, (worker, message) in messages(world, north).items():
        left = []
        for times in (1, 2, 5):
            harness.restore(start)
            for _ in range(times):
                world.deliver(worker, message)
            left.append(remains(since))
        assert left[0] == left[1] == left[2], name
        assert left[0] != [], name


@pytest.mark.parametrize("billing", ["monthly", "annual"])
def test_four_messages_in_every_order_leave_the_same(
    world: World, harness: Harness, north: Node, billing: str
) -> None:
    """With one that issues a bill: of two, the first to come gets the lower number."""
    told = messages(world, north)
    names = ("trial", "usage", "overdue", billing)
    since, start = stored(), harness.snapshot()
    chance = random.Random(harness.seed)

    def left(order: list[str]) -> list[str]:
        harness.restore(start)
        for name in order:
            world.deliver(*told[name])
        check_books(north)
        return remains(since)

    expected = left(list(names))
    for order in permutations(names):
        # One of them more than once, wherever the others stand.
        again = [chance.choice(order)] * chance.choice((1, 4))
        often = sorted([*enumerate(order), *((chance.random() * 4, name) for name in again)])
        assert left([name for _, name in often]) == expected, often


def test_a_day_with_every_message_at_once_ends_as_when_they_come_one_by_one(
    world: World, harness: Harness, north: Node
) -> None:
    told = messages(world, north)
    since, start = stored(), harness.snapshot()
    for worker, message in told.values():
        world.deliver(worker, message)
    issued = {bill.sk: (bill.state, int(bill.total_minor)) for bill in bills(north)}
    others = [each for each in remains(since) if "BILL" not in each and "LEDGER" not in each]
    harness.restore(start)

    for seed in range(5):
        harness.run_together([partial(attempt, world, *each) for each in told.values()], seed=seed)
        for worker, message in told.values():
            world.deliver(worker, message)
        check_books(north)
        assert {bill.sk: (bill.state, int(bill.total_minor)) for bill in bills(north)} == issued, seed
        assert [each for each in remains(since) if "BILL" not in each and "LEDGER" not in each] == others
        assert len(outbox(north, "Documents")) == 3
        harness.restore(start)


def attempt(world: World, worker: str, message: dict[str, Any]) -> None:
    """A message that a worker fails on stays in the queue."""
    with suppress(AssertionError):
        world.deliver(worker, message)
