"""Two faults in a row: one in the run, one in the run that comes again, at every pair of calls. The third is left alone,
and must find or make all as if nothing had happened.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal.accounts.records import Account, get_account_at
from portal.adapters.secrets import payment_secrets
from portal.change import Change
from portal.scope import EVERYTHING
from portal.table import Update, stage, write
from portal.tree import Node
from tests.books import a_payer, an_account, bills, check_books, node_of, run_month, store
from tests.payers import a_card, tell, the_charge
from tests.remains import remains, stored
from tests.support import Call, FakeStripe, Fault, Harness
from tests.sweeps import LATER
from tests.trees import a_task
from tests.trees import store as plant
from tests.world import World

pytestmark = pytest.mark.money

KINDS = (Fault.CRASH_AFTER, Fault.TIMEOUT_AFTER)
"""A process that dies before a call is one that died after the call before it."""


def has_effect(call: Call) -> bool:
    """Here or at the provider."""
    return call.service == "http" or call.writes


def twice(
    harness: Harness,
    world: World,
    act: Callable[[], Any],
    check: Callable[[], Any] = lambda: None,
    match: Callable[[Call], bool] = lambda call: True,
) -> int:
    """Strike the action at every call, and its recovery at every call that it then makes (of those that match); it comes
    again a minute and 25 hours later in turn. Returns the number of pairs.

    Between two effects all calls leave the same behind, so where there are several effects only those are struck, in
    every way; where there is one, every call is, in one way each.
    """
    since, start = stored(), harness.snapshot()
    act()
    check()
    expected = remains(since)
    harness.restore(start)
    pairs = 0
    firsts, seconds = (KINDS, KINDS) if match is has_effect else (KINDS[1:], KINDS[:1])
    for turn, first in enumerate(harness.sweep(act, firsts, match)):
        said = str(first)
        world.advance(**LATER[turn % 2])
        if not _calls(harness, act, match):
            continue
        for second in harness.sweep(act, seconds, match):
            world.advance(**LATER[0])
            act()
            assert remains(since) == expected, f"{said}, then {second}"
            check()
            pairs += 1
    return pairs


def _calls(harness: Harness, act: Callable[[], Any], match: Callable[[Call], bool]) -> int:
    """How many calls it would make by now."""
    first, start = len(harness.calls), harness.snapshot()
    act()
    harness.restore(start)
    return sum(match(call) for call in harness.calls[first:])


def delivering(world: World, worker: str, message: dict[str, Any]) -> Callable[[], None]:
    """A worker's invocation; a message that it fails on stays in the queue."""

    def act() -> None:
        with suppress(AssertionError):
            world.deliver(worker, message)

    return act


def on_trial(**default: str | None) -> Node:
    """An account whose trial ends on 24 January."""
    north = a_payer(date(2022, 12, 26))
    store(an_account(north, 1, plan=None))
    node = node_of(north)
    account: Account = get_account_at(EVERYTHING, node)
    ends_at = datetime(2023, 1, 24, tzinfo=UTC)
    trial = Change(
        trial_ends_at=ends_at,
        trial_stage="expiring",
        lifecycle="trial",
        lifecycle_at=ends_at,
        subscription_default={"mode": "trial_with_expiration", "plan": None, **default},
    )
    write([stage(Update(account, trial))])
    return node


def test_monthly_charge(world: World, harness: Harness, stripe: FakeStripe) -> None:
    north = charged_on_issue(world, stripe)
    (bill,) = bills(north)
    message = {"kind": "bill", "distributor_id": north.distributor, "bill_sk": bill.sk}

    def check() -> None:
        check_books(north)
        assert stripe.charged(bill.reference) == bill.total_minor
        assert len(stripe.intents(bill.reference)) == 1

    act = delivering(world, "payments.on_payment_due", message)
    assert twice(harness, world, act, check, has_effect) >= 100


def charged_on_issue(world: World, stripe: FakeStripe) -> Node:
    """A distributor whose bill was issued just now and is to be charged."""
    north = a_payer(date(2022, 12, 26), billing_method="credit_card")
    store(an_account(north, 1, counts=40, subscribed_on=date(2022, 12, 24)))
    a_card(world, stripe, north)
    # Read once per process, which is not what is struck.
    payment_secrets()
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    run_month(world)
    world.stream("notifications.deliver_outbox")
    world.messages("Payments")
    return north


def test_payment_webhook(world: World, harness: Harness, stripe: FakeStripe) -> None:
    """The money of a slow card has come: the provider tells it, and the worker takes it in."""
    north = charged_on_issue(world, stripe)
    (bill,) = bills(north)
    stripe.behave(a_card(world, stripe, north), "processing")
    delivering(
        world,
        "payments.on_payment_due",
        {"kind": "bill", "distributor_id": north.distributor, "bill_sk": bill.sk},
    )()
    intent_id = the_charge(north).intent_id
    stripe.settle(intent_id)
    event = next(each for each in stripe.events if each["type"] == "payment_intent.succeeded")
    take_in = delivering(
        world, "payments.on_payment_due", {"kind": "told", "about": "payment_intent", "id": intent_id}
    )

    def act() -> None:
        # The provider signs a repetition anew.
        assert tell(world, stripe, event).status in (204, 500)
        take_in()

    def check() -> None:
        check_books(north)
        assert [each.state for each in bills(north)] == ["paid"]

    assert twice(harness, world, act, check, has_effect) >= 18


def test_annual_invoice(world: World, harness: Harness) -> None:
    north = a_payer(date(2022, 12, 26))
    store(an_account(north, 1, counts=3, plan="annual", subscribed_on=date(2023, 1, 10)))
    account = node_of(north)

    def check() -> None:
        check_books(north)
        assert [bill.net_minor for bill in bills(north)] == [3 * 1800]

    act = delivering(world, "billing.on_billing_due", {"kind": "annual", "account": str(account)})
    assert twice(harness, world, act, check) >= 150


@pytest.mark.parametrize("plan", ["annual", None])
def test_trial_end(world: World, harness: Harness, plan: str | None) -> None:
    mode = "trial_with_auto_subscription" if plan else "trial_with_expiration"
    account = on_trial(mode=mode, plan=plan)
    plant(a_task(account, "tsk_1", world.now))
    world.now = datetime(2023, 1, 24, tzinfo=UTC)

    act = delivering(world, "subscriptions.on_trial_due", {"account": str(account)})
    assert twice(harness, world, act) >= 5
