"""Charging cards where something else happens meanwhile: a transfer, a hold, a new card, money from elsewhere, a failure
inside of the provider.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal import keys
from portal.billing import holds
from portal.billing.records import Bill, list_payments
from portal.operators.records import list_parked
from portal.payments.records import CreditBalance, find_credit_balance
from portal.scope import EVERYTHING
from portal.table import stage, write
from portal.tree import Node
from tests import books
from tests.payers import a_card, a_customer, pay, run_charges, tell_all, the_charge
from tests.support import FakeStripe
from tests.world import OPERATOR, Answer, World, administrator

pytestmark = pytest.mark.money

ISSUED = datetime(2023, 1, 24, 2, 0, 5, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def north(world: World) -> Node:
    """A distributor that owes 1,895.40 USD from its payment day on, and pays by card."""
    north = books.a_payer(date(2022, 12, 26), billing_method="credit_card")
    books.store(books.an_account(north, 1, counts=900, subscribed_on=date(2022, 12, 24)))
    world.now = ISSUED
    return north


def issue(world: World) -> None:
    books.run_month(world)
    pay(world)


def the_bill(north: Node) -> Bill:
    return books.bills(north)[-1]


def codes(north: Node) -> list[str]:
    return [each["code"] for each in the_charge(north).failures or ()]


def open_page(world: World, north: Node) -> Answer:
    path = {"reference": the_bill(north).reference or ""}
    return world.call("payments.open_payment_page", administrator(north), path=path)


def held(world: World, north: Node) -> str:
    """The distributor's books are found wrong; the id by which an operator lets them go."""
    parked, writes = holds.placed(None, north, [], world.now)
    write([stage(each) for each in writes])
    parked_id: str = parked.parked_id
    return parked_id


def release(world: World, parked_id: str) -> Answer:
    return world.call("operators.release_parked", OPERATOR, path={"parked_id": parked_id})


def in_flight_for_the_last_time(world: World, stripe: FakeStripe, north: Node) -> str:
    """The card is slow on its last day; its intent."""
    a_card(world, stripe, north, "declined")
    issue(world)
    for days in (1, 3, 5):
        run_charges(world, ISSUED + days * DAY)
        world.now = ISSUED + days * DAY
        run_charges(world)
    stripe.behave(the_charge(north).card_id, "processing")
    world.now = ISSUED + 7 * DAY
    run_charges(world)
    assert the_charge(north).is_in_flight
    intent_id: str = the_charge(north).intent_id
    return intent_id


# Bank transfers that were announced


def a_transfer(world: World, stripe: FakeStripe, north: Node) -> Any:
    """Announced on a page, while the card would be charged; its intent."""
    a_card(world, stripe, north)
    books.run_month(world)
    assert open_page(world, north).status == 201
    [page] = stripe.all("checkout.session")
    stripe.pay(page["id"], "customer_balance")
    pay(world)
    [intent] = stripe.intents(the_bill(north).reference or "")
    return intent


def test_a_transfer_of_which_nothing_comes_keeps_a_card_from_being_charged_for_three_days(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    intent = a_transfer(world, stripe, north)
    world.now = ISSUED + 3 * DAY - timedelta(minutes=1)
    run_charges(world)
    assert (the_charge(north).state, intent["status"]) == ("waiting", "requires_action")
    world.now = ISSUED + 3 * DAY
    run_charges(world)
    assert (intent["status"], the_charge(north).state, the_bill(north).state) == (
        "canceled",
        "succeeded",
        "paid",
    )
    # What comes now lies at the provider, and somebody is told.
    told = len(stripe.events)
    stripe.transfer(intent["id"], 1000)
    for _ in range(2):
        tell_all(world, stripe, since=told)
    [listed] = world.call("operators.list_parked", OPERATOR).json["items"]
    assert (listed["reasons"], listed["kind"]) == (["transfer_to_be_looked_at"], "transfer")
    assert (listed["distributor_id"], listed["reference"]) == ("dst_north", None)
    assert release(world, listed["parked_id"]).json["kind"] == "transfer"
    assert world.call("operators.list_parked", OPERATOR).json["items"] == []
    books.check_books(north)


def test_a_part_of_a_transfer_is_told_to_operators_and_waited_for(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    intent = a_transfer(world, stripe, north)
    stripe.transfer(intent["id"], 50_000)
    for _ in range(2):
        tell_all(world, stripe)
    [listed] = world.call("operators.list_parked", OPERATOR).json["items"]
    assert (listed["reasons"], listed["kind"]) == (["transfer_to_be_looked_at"], "monthly")
    assert listed["reference"] == the_bill(north).reference
    world.now = ISSUED + 10 * DAY
    run_charges(world)
    assert (the_charge(north).state, intent["status"]) == ("waiting", "requires_action")
    assert release(world, listed["parked_id"]).json["bill_state"] == the_bill(north).state

    told = len(stripe.events)
    stripe.transfer(intent["id"], int(the_bill(north).total_minor) - 50_000)
    tell_all(world, stripe, since=told)
    assert (the_bill(north).state, stripe.charged(the_bill(north).reference or "")) == (
        "paid",
        the_bill(north).total_minor,
    )
    assert [each.state for each in list_parked(EVERYTHING)] == ["released"]
    books.check_books(north)


# Amounts


def test_a_rest_that_is_too_small_for_the_provider_is_told_once_and_given_up(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    a_card(world, stripe, north, "declined")
    issue(world)
    body = {"amount": f"{(the_bill(north).total_minor - 30) / 100:.2f}", "currency": "USD"}
    path = {"reference": the_bill(north).reference or ""}
    body |= {"received_on": "2023-01-24"}
    assert world.call("operators.record_payment", OPERATOR, path=path, body=body).status == 201
    a_card(world, stripe, north)
    for days in range(1, 9):
        world.now = ISSUED + days * DAY
        run_charges(world)
    assert codes(north) == ["card_declined", "amount_refused"]
    assert (the_charge(north).state, the_bill(north).state) == ("given_up", "overdue")
    mailed = [each for each in books.outbox(north, "Mail") if each["template"] == "charge_failed"]
    assert len(mailed) == 2 and "does not take an amount like this" in mailed[-1]["parameters"]["reason"]
    good = a_card(world, stripe, north, active=False)
    assert world.call("payments.activate_card", administrator(north), path={"card_id": good}).status == 200
    pay(world)
    assert codes(north) == ["card_declined", "amount_refused"]
    assert open_page(world, north).code == "amount_refused"
    books.check_books(north)


def test_krona_are_charged_as_the_provider_counts_them(world: World, stripe: FakeStripe) -> None:
    prices = {"currency": "ISK", "services": {books.EXCHANGE: {"monthly": "3000", "annual": "30000"}}}
    east = books.a_payer(
        date(2022, 12, 26), "east", billing_method="credit_card", prices=prices, currency="ISK"
    )
    books.store(books.an_account(east, 1, counts=4, subscribed_on=date(2022, 12, 24)))
    world.now = ISSUED
    a_card(world, stripe, east)
    issue(world)
    bill = the_bill(east)
    assert (bill.state, bill.paid_minor) == ("paid", bill.total_minor)
    assert stripe.charged(bill.reference or "") == 100 * bill.total_minor
    books.check_books(east)


# Holds


def test_an_attempt_that_was_begun_is_only_looked_up_while_the_books_are_held(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    a_card(world, stripe, north)
    books.run_month(world)
    stripe.answer_next(500)
    pay(world)
    parked_id = held(world, north)
    for _ in range(2):
        world.advance(minutes=15)
        run_charges(world)
    assert (the_charge(north).state, stripe.all("payment_intent")) == ("asked", [])
    assert release(world, parked_id).status == 200
    pay(world)
    assert the_bill(north).state == "paid"
    # Created, and not confirmed yet.
    books.check_books(north)


def test_an_intent_that_is_known_is_not_confirmed_while_the_books_are_held(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    a_card(world, stripe, north)
    books.run_month(world)
    stripe.fail_inside("", "before")
    pay(world)
    assert the_charge(north).intent_id is not None
    parked_id = held(world, north)
    world.advance(minutes=15)
    run_charges(world)
    assert (the_charge(north).state, stripe.all("charge")) == ("asked", [])
    assert release(world, parked_id).status == 200
    pay(world)
    assert the_bill(north).state == "paid"


def test_what_was_paid_in_excess_pays_bills_once_a_hold_is_lifted(world: World, stripe: FakeStripe) -> None:
    east = books.a_payer(date(2022, 12, 26), "east")
    books.store(books.an_account(east, 1, counts=40, subscribed_on=date(2022, 12, 24)))
    world.now = ISSUED
    issue(world)
    parked_id = held(world, east)
    owed = int(the_bill(east).total_minor)
    balance = CreditBalance(keys.node(east), keys.CREDIT_BALANCE, amount_minor=owed, currency="USD")
    books.store([balance])
    assert release(world, parked_id).status == 200
    pay(world)
    assert the_bill(east).state == "paid"


# What happens while a card is charged


def test_money_that_came_into_the_balance_during_the_last_attempt_pays_the_bill(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    intent_id = in_flight_for_the_last_time(world, stripe, north)
    owed = int(the_bill(north).total_minor)
    balance = CreditBalance(keys.node(north), keys.CREDIT_BALANCE, amount_minor=owed, currency="USD")
    books.store([balance])
    told = len(stripe.events)
    stripe.settle(intent_id, succeeds=False)
    tell_all(world, stripe, since=told)
    left = find_credit_balance(EVERYTHING, north)
    assert (the_bill(north).state, left and left.amount_minor) == ("paid", 0)
    assert the_charge(north).state == "stopped"


def test_a_card_that_was_activated_during_the_last_attempt_is_tried(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    intent_id = in_flight_for_the_last_time(world, stripe, north)
    good = a_card(world, stripe, north, active=False)
    assert world.call("payments.activate_card", administrator(north), path={"card_id": good}).status == 200
    told = len(stripe.events)
    stripe.settle(intent_id, succeeds=False)
    tell_all(world, stripe, since=told)
    assert (the_bill(north).state, the_charge(north).card_id) == ("paid", good)
    books.check_books(north)


def test_a_card_that_is_activated_at_the_moment_of_the_failure_is_tried_in_any_order(
    world: World, stripe: FakeStripe, north: Node, harness: Any
) -> None:
    intent_id = in_flight_for_the_last_time(world, stripe, north)
    good = a_card(world, stripe, north, active=False)
    stripe.settle(intent_id, succeeds=False)
    told = {"kind": "told", "about": "payment_intent", "id": intent_id}

    def activate() -> None:
        path = {"card_id": good}
        while world.call("payments.activate_card", administrator(north), path=path).status == 409:
            pass

    start = harness.snapshot()
    for seed in range(6):
        outcomes = harness.run_together(
            [activate, lambda: world.deliver("payments.on_payment_due", told)], seed=seed
        )
        assert all(outcome.ok for outcome in outcomes), seed
        pay(world)
        assert (the_bill(north).state, the_charge(north).card_id) == ("paid", good), seed
        harness.restore(start)


# Failures inside of the provider


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fine_before", [0, 1])
def test_a_failure_inside_that_the_provider_remembers_is_gone_past(
    world: World, stripe: FakeStripe, north: Node, when: str, fine_before: int
) -> None:
    """While it creates the intent, or confirms it."""
    a_card(world, stripe, north)
    books.run_month(world)
    stripe.fail_inside(*[""] * fine_before, when)
    pay(world)
    assert the_charge(north).state == "asked"
    world.advance(minutes=15)
    run_charges(world)
    bill = the_bill(north)
    assert (bill.state, len(stripe.intents(bill.reference or ""))) == ("paid", 1)
    assert stripe.charged(bill.reference or "") == bill.total_minor
    books.check_books(north)


# Money for a bill that nobody charges


def test_money_for_a_bill_that_is_not_charged_to_a_card_is_recorded(world: World, stripe: FakeStripe) -> None:
    east = books.a_payer(date(2022, 12, 26), "east")
    books.store(books.an_account(east, 1, counts=40, subscribed_on=date(2022, 12, 24)))
    world.now = ISSUED
    issue(world)
    bill = the_bill(east)
    about = {"distributor_id": "dst_east", "bill_sk": bill.sk, "reference": bill.reference or ""}
    made = stripe.make_intent(int(bill.total_minor), "usd", a_customer(world, stripe, east), about)
    stripe.succeed(made)
    for _ in range(2):
        tell_all(world, stripe)
    assert [each.payment_id for each in list_payments(EVERYTHING, bill)] == [made]
    assert the_bill(east).state == "paid"
    books.check_books(east)
