"""Thirty-two at once: of copies of the same thing, whoever comes first has the effect, and nobody has it twice."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from portal.accounts.records import find_renewal, get_account_at
from portal.billing.records import list_price_books
from portal.change import Change
from portal.scope import EVERYTHING
from portal.table import Update, stage, write
from tests.books import a_payer, an_account, balances, bills, check_books, outbox, store
from tests.builders import audit_trail
from tests.support import Harness
from tests.trees import Tree, plant
from tests.world import OPERATOR, World

pytestmark = [pytest.mark.money, pytest.mark.races]

COPIES = 32
ROUNDS = 20
FEWER_ROUNDS = {
    "releasing_a_parked_bill": 2,
    "setting_prices": 1,
}
"""Of races in which each copy reads a lot before it finds that it was outrun."""


@dataclass(frozen=True)
class Race:
    """What all do at once, answering with a status or a word, and what is to be found afterwards."""

    act: Callable[[], Any]
    found: Callable[[], Any]
    expected: Any


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(world.now, waiting=True)


def delivering(world: World, worker: str, message: dict[str, Any]) -> Callable[[], None]:
    def act() -> None:
        with suppress(AssertionError):
            world.deliver(worker, message)

    return act


def calling(world: World, operation: str, **asked: Any) -> Callable[[], int]:
    return lambda: world.call(operation, OPERATOR, **asked).status


def on_trial(tree: Tree, world: World, **default: str | None) -> None:
    trial = Change(
        state="trial",
        plan=None,
        subscribed_on=None,
        trial_ends_at=world.now,
        trial_stage="expiring",
        lifecycle="trial",
        lifecycle_at=world.now,
        subscription_default={"mode": "trial_with_expiration", "plan": None, **default},
    )
    write([stage(Update(get_account_at(EVERYTHING, tree.account), trial))])


def the_end_of_a_trial(world: World, tree: Tree) -> Race:
    on_trial(tree, world, mode="trial_with_auto_subscription", plan="annual")
    told = len(audit_trail(tree.partner))

    def found() -> Any:
        renewal = find_renewal(EVERYTHING, tree.account)
        state = get_account_at(EVERYTHING, tree.account).state
        return state, renewal is not None, len(audit_trail(tree.partner)) - told

    message = {"account": str(tree.account)}
    return Race(delivering(world, "subscriptions.on_trial_due", message), found, ("subscribed", True, 1))


def subscribing(world: World, tree: Tree) -> Race:
    on_trial(tree, world)
    still_running = Change(trial_ends_at=world.now + timedelta(days=1))
    write([stage(Update(get_account_at(EVERYTHING, tree.account), still_running))])
    told = len(audit_trail(tree.partner))

    def act() -> int:
        body = {"plan": "annual", "accounts": [tree.account.account]}
        return world.call("subscriptions.subscribe_accounts", tree.users[tree.partner], body=body).status

    def found() -> Any:
        state = get_account_at(EVERYTHING, tree.account).state
        return state, len(audit_trail(tree.partner)) - told

    return Race(act, found, ("subscribed", 1))


def a_look_at_an_overdue_bill(world: World, tree: Tree) -> Race:
    world.advance(days=25)
    bill = bills(tree.distributor)[-1]
    message = {"distributor_id": tree.distributor.distributor, "bill_sk": bill.sk}

    def found() -> Any:
        return bills(tree.distributor)[-1].state, len(outbox(tree.distributor, "Mail"))

    return Race(delivering(world, "billing.on_bill_due", message), found, ("overdue", 1))


def a_payment_with_one_key(world: World, tree: Tree) -> Race:
    act = calling(
        world,
        "operators.record_payment",
        path={"reference": tree.reference},
        body={"amount": "1.00", "currency": "USD", "received_on": "2023-01-10"},
        headers={"Idempotency-Key": "transfer"},
    )

    def found() -> Any:
        return int(bills(tree.distributor)[-1].paid_minor), balances(tree.distributor).get("bank")

    return Race(act, found, (100, 100))


def a_credit_note(world: World, tree: Tree) -> Race:
    path = {"reference": tree.reference}
    act = calling(world, "operators.create_credit_note", path=path, body={"reason": "Too much", "all": True})

    def found() -> Any:
        bill = bills(tree.distributor)[-1]
        return bill.state, int(bill.credited_minor), balances(tree.distributor)["receivable"]

    return Race(act, found, ("credited", 234, -234))


def releasing_a_parked_bill(world: World, tree: Tree) -> Race:
    north = a_payer(date(2023, 1, 10), "released")
    store(an_account(north))
    world.advance(days=84)
    world.run("billing.run_monthly_billing")
    message = {"kind": "monthly", "distributor_id": north.distributor}
    world.deliver("billing.on_billing_due", message)
    waiting = world.call("operators.list_parked", OPERATOR).json["items"]
    parked_id = next(each["parked_id"] for each in waiting if each["parked_id"] != tree.parked_id)
    act = calling(world, "operators.release_parked", path={"parked_id": parked_id})

    def found() -> Any:
        check_books(north)
        return [(each.state, each.reference) for each in bills(north)]

    return Race(act, found, [("issued", "10001")])


def setting_prices(world: World, tree: Tree) -> Race:
    services = {"box": {"monthly": "3.00", "annual": "30.00"}}
    body = {"currency": "USD", "effective_on": "2023-02-01", "services": services}
    path = {"distributor_id": tree.distributor.distributor}
    act = calling(world, "operators.set_prices", path=path, body=body)

    def found() -> Any:
        return [book.effective_on for book in list_price_books(EVERYTHING, tree.distributor)]

    return Race(act, found, [date(2023, 2, 1)])


RACES = {
    each.__name__: each
    for each in (
        the_end_of_a_trial,
        subscribing,
        a_look_at_an_overdue_bill,
        a_payment_with_one_key,
        a_credit_note,
        releasing_a_parked_bill,
        setting_prices,
    )
}


@pytest.mark.parametrize("name", RACES)
def test_copies_at_once_have_one_effect(world: World, harness: Harness, tree: Tree, name: str) -> None:
    race = RACES[name](world, tree)
    for seed, outcomes in harness.rounds(COPIES, race.act, range(FEWER_ROUNDS.get(name, ROUNDS))):
        assert {outcome.get() for outcome in outcomes} <= {None, 200, 201, 409}, f"seed {seed}"
        assert race.found() == race.expected, f"seed {seed}"
