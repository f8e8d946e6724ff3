"""Consolidated bills are charged to the active card: on issue, and again on days that count from it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal.billing import holds
from portal.billing.records import Bill, list_payments
from portal.change import Change
from portal.payments.records import find_charge, find_credit_balance
from portal.scope import EVERYTHING
from portal.table import Update, stage, write
from portal.tree import Node
from tests.books import (
    a_payer,
    an_account,
    bills,
    check_books,
    outbox,
    run_month,
    run_overdue,
    run_year,
    store,
)
from tests.payers import (
    a_card,
    a_customer,
    pay,
    run_charges,
    tell_all,
    the_charge,
)
from tests.support import FakeStripe, Harness
from tests.world import OPERATOR, World, administrator

pytestmark = pytest.mark.money

ISSUED = datetime(2023, 1, 24, 2, 0, 5, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


@pytest.fixture
def north(world: World) -> Node:
    """A distributor that pays by card, on its payment day; it has not added a card yet."""
    north = a_payer(date(2022, 12, 26), billing_method="credit_card")
    store(an_account(north, 1, counts=40, subscribed_on=date(2022, 12, 24)))
    world.now = ISSUED
    return north


def issue(world: World, north: Node) -> Bill:
    run_month(world)
    return bills(north)[-1]


def the_bill(north: Node) -> Bill:
    return bills(north)[-1]


def failures_told(north: Node) -> list[tuple[str, Any]]:
    """Reason and next try of each failure that was mailed."""
    mailed = [body["parameters"] for body in outbox(north, "Mail") if body["template"] == "charge_failed"]
    return [(each["reason"], each["next_try_on"]) for each in mailed]


def attempts_at(stripe: FakeStripe) -> int:
    """How often the provider was asked for money."""
    return len(stripe.all("charge"))


def check(stripe: FakeStripe, north: Node) -> None:
    """What the provider has charged is what is recorded, with one intent a bill."""
    check_books(north)
    for bill in bills(north):
        if bill.reference and find_charge(EVERYTHING, bill) is not None:
            assert len(stripe.intents(bill.reference)) <= 1
            by_card = [each for each in list_payments(EVERYTHING, bill) if each.paid_by == "credit_card"]
            assert sum(int(each.amount_minor) for each in by_card) == stripe.charged(bill.reference)


def test_a_bill_is_charged_on_issue(world: World, stripe: FakeStripe, north: Node) -> None:
    card_id = a_card(world, stripe, north)
    bill = issue(world, north)
    assert (bill.state, bill.due_on, stripe.charged(bill.reference)) == ("issued", date(2023, 1, 31), 0)
    assert (the_charge(north).state, the_charge(north).look_at) == ("waiting", ISSUED)

    pay(world)

    charge, bill = the_charge(north), the_bill(north)
    (intent,) = stripe.intents(bill.reference)
    assert (bill.state, bill.paid_minor, bill.paid_on) == ("paid", bill.total_minor, ISSUED.date())
    assert (charge.state, charge.attempts, charge.card_id, charge.intent_id, charge.look_at) == (
        "succeeded",
        1,
        card_id,
        intent["id"],
        None,
    )
    assert stripe.charged(bill.reference) == bill.total_minor
    assert intent["metadata"] == {
        "reference": bill.reference,
        "paid_by": "credit_card",
        "distributor_id": north.distributor,
        "bill_sk": bill.sk,
    }
    (payment,) = list_payments(EVERYTHING, bill)
    assert (payment.payment_id, payment.paid_by) == (intent["id"], "credit_card")
    assert failures_told(north) == []
    tell_all(world, stripe)
    run_charges(world, ISSUED + 30 * DAY)
    assert attempts_at(stripe) == 1
    check(stripe, north)


def test_a_declined_card_is_tried_again_after_1_3_5_and_7_days_to_the_second(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    a_card(world, stripe, north, "insufficient_funds")
    issue(world, north)
    pay(world)
    reason = "Your card has insufficient funds."
    for number, (days, next_days) in enumerate([(0, 1), (1, 3), (3, 5), (5, 7), (7, None)], 1):
        if days:
            world.now = ISSUED + days * DAY - SECOND
            run_charges(world)
            assert attempts_at(stripe) == number - 1
            world.now = ISSUED + days * DAY
            run_charges(world)
        run_charges(world)
        charge = the_charge(north)
        assert (attempts_at(stripe), charge.attempts) == (number, number)
        next_try = None if next_days is None else ISSUED + next_days * DAY
        assert (charge.state, charge.look_at) == ("waiting" if next_try else "given_up", next_try)
        assert failures_told(north)[-1] == (reason, next_try and next_try.date().isoformat())
        assert the_bill(north).state == ("issued" if next_try else "overdue")
        assert charge.failures[-1]["code"] == "card_declined"
    assert len(failures_told(north)) == 5

    for days in (8, 14, 15, 21, 22, 37, 38, 60):
        world.now = ISSUED + days * DAY
        run_charges(world)
        run_overdue(world)
    assert attempts_at(stripe) == 5
    reminded = [
        each["parameters"]["days_past"] for each in outbox(north, "Mail") if "days_past" in each["parameters"]
    ]
    assert reminded == [7, 14, 30]
    check(stripe, north)


def test_days_that_were_missed_are_not_made_up_for(world: World, stripe: FakeStripe, north: Node) -> None:
    a_card(world, stripe, north, "declined")
    issue(world, north)
    pay(world)

    world.now = ISSUED + 6 * DAY
    run_charges(world)
    assert (attempts_at(stripe), the_charge(north).look_at) == (2, ISSUED + 7 * DAY)


def test_a_card_that_recovers_pays_the_bill_with_the_same_intent(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    card_id = a_card(world, stripe, north, "declined")
    bill = issue(world, north)
    pay(world)
    stripe.behave(card_id, "ok")
    world.now = ISSUED + DAY
    run_charges(world)

    assert (the_bill(north).state, the_charge(north).attempts) == ("paid", 2)
    assert len(stripe.intents(bill.reference)) == 1
    check(stripe, north)


def test_without_a_card_every_day_fails_and_none_is_asked_of_the_provider(
    world: World, stripe: FakeStripe, harness: Harness, north: Node
) -> None:
    issue(world, north)
    first = len(harness.calls)
    pay(world)
    for days in (1, 3, 5, 7):
        world.now = ISSUED + days * DAY
        run_charges(world)

    charge = the_charge(north)
    assert (charge.state, [each["code"] for each in charge.failures]) == ("given_up", ["no_card"] * 5)
    assert [reason for reason, _ in failures_told(north)] == ["There is no active card."] * 5
    assert the_bill(north).state == "overdue"
    assert not [call for call in harness.calls[first:] if call.service == "http"]


@pytest.mark.parametrize("behaviour", ["expired", "authentication_required"])
def test_the_payer_is_told_why(world: World, stripe: FakeStripe, north: Node, behaviour: str) -> None:
    a_card(world, stripe, north, behaviour)
    issue(world, north)
    pay(world)

    (failure,) = the_charge(north).failures
    assert failure["code"] == {"expired": "expired_card"}.get(behaviour, behaviour)
    assert failures_told(north) == [(failure["message"], "2023-01-25")]


def test_only_what_is_still_owed_is_charged(world: World, stripe: FakeStripe, north: Node) -> None:
    card_id = a_card(world, stripe, north, "declined")
    bill = issue(world, north)
    pay(world)
    transfer = {"amount": "10.00", "currency": "USD", "received_on": "2023-01-24"}
    path = {"reference": bill.reference}
    assert world.call("operators.record_payment", OPERATOR, path=path, body=transfer).status == 201
    credit = {"amount": "5.00", "currency": "USD", "reason": "Goodwill"}
    assert world.call("operators.create_credit_note", OPERATOR, path=path, body=credit).status == 201
    stripe.behave(card_id, "ok")
    world.now = ISSUED + DAY
    run_charges(world)

    bill = the_bill(north)
    assert stripe.charged(bill.reference) == bill.total_minor - 1500
    assert (bill.state, bill.outstanding_minor) == ("paid", 0)
    check(stripe, north)


@pytest.mark.parametrize("given_up", [False, True])
def test_a_bill_that_is_settled_otherwise_is_charged_no_more(
    world: World, stripe: FakeStripe, north: Node, given_up: bool
) -> None:
    a_card(world, stripe, north, "declined")
    bill = issue(world, north)
    pay(world)
    if given_up:
        for days in (1, 3, 5, 7):
            world.now = ISSUED + days * DAY
            run_charges(world)
    amount = f"{bill.total_minor / 100:.2f}"
    transfer = {"amount": amount, "currency": "USD", "received_on": "2023-01-24"}
    path = {"reference": bill.reference}
    assert world.call("operators.record_payment", OPERATOR, path=path, body=transfer).status == 201
    world.deliver(
        "payments.on_payment_due",
        {"kind": "bill", "distributor_id": north.distributor, "bill_sk": bill.sk},
    )

    (intent,) = stripe.intents(bill.reference)
    assert (the_charge(north).state, intent["status"]) == ("stopped", "canceled")
    world.now = ISSUED + 30 * DAY
    run_charges(world)
    tell_all(world, stripe)
    assert (the_charge(north).state, stripe.charged(bill.reference)) == ("stopped", 0)
    check(stripe, north)


def test_an_unknown_outcome_blocks_everything_else_until_it_is_looked_up(
    world: World, stripe: FakeStripe, harness: Harness, north: Node
) -> None:
    card_id = a_card(world, stripe, north, "processing")
    bill = issue(world, north)
    pay(world)
    path = {"reference": bill.reference}
    transfer = {"amount": "1.00", "currency": "USD", "received_on": "2023-01-24"}
    credit = {"amount": "5.00", "currency": "USD", "reason": "Goodwill"}
    for days in (1, 3, 8):
        world.now = ISSUED + days * DAY
        run_charges(world)
        assert (the_charge(north).state, the_charge(north).attempts) == ("asked", 1)
        for operation, body in (("record_payment", transfer), ("create_credit_note", credit)):
            answer = world.call(f"operators.{operation}", OPERATOR, path=path, body=body)
            assert (answer.status, answer.code) == (409, "payment_in_progress")
    assert attempts_at(stripe) == 1
    stripe.settle(the_charge(north).intent_id, succeeds=False)
    stripe.behave(card_id, "ok")
    run_charges(world)

    # Its time is over by then; a card that is made active is still tried.
    assert (the_charge(north).state, the_bill(north).state) == ("given_up", "overdue")
    transfer["received_on"] = "2023-02-01"
    assert world.call("operators.record_payment", OPERATOR, path=path, body=transfer).status == 201
    check(stripe, north)


def test_what_was_processing_is_recorded_when_the_provider_says_so(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    a_card(world, stripe, north, "processing")
    bill = issue(world, north)
    pay(world)
    tell_all(world, stripe)
    assert the_charge(north).state == "asked"
    told = len(stripe.events)

    stripe.settle(the_charge(north).intent_id)
    tell_all(world, stripe, since=told)

    assert (the_charge(north).state, the_bill(north).state) == ("succeeded", "paid")
    assert stripe.charged(bill.reference) == bill.total_minor
    check(stripe, north)


def test_while_the_provider_is_down_nothing_fails_and_nothing_is_lost(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    a_card(world, stripe, north)
    bill = issue(world, north)
    for status in (500, 503, 429):
        stripe.answer_next(status)
        pay(world)
        run_charges(world)
        assert (the_charge(north).state, the_bill(north).state) == ("asked", "issued")
        assert the_charge(north).attempts == 1
        world.advance(minutes=15)
        stripe.answer_next()
    run_charges(world)

    assert (the_charge(north).state, stripe.charged(bill.reference)) == ("succeeded", bill.total_minor)
    assert failures_told(north) == []
    check(stripe, north)


def test_what_was_cancelled_at_the_provider_is_given_up(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    a_card(world, stripe, north, "declined")
    issue(world, north)
    pay(world)
    stripe.cancel(the_charge(north).intent_id)
    world.now = ISSUED + DAY
    run_charges(world)

    assert (the_charge(north).state, the_bill(north).state) == ("given_up", "overdue")
    assert failures_told(north)[-1] == ("The payment was canceled.", None)
    check(stripe, north)


def test_a_bill_that_is_too_small_for_the_provider_fails_and_is_told(
    world: World, stripe: FakeStripe
) -> None:
    small = a_payer(date(2022, 12, 26), "small", billing_method="credit_card", tax_rate=0)
    store(
        an_account(small, 1, counts={"salesforce": [(date(2022, 1, 1), 1)]}, subscribed_on=date(2023, 1, 18))
    )
    world.now = ISSUED
    a_card(world, stripe, small)
    bill = issue(world, small)
    assert bill.total_minor < 50
    pay(world)

    assert [each["code"] for each in the_charge(small).failures] == ["amount_refused"]
    assert (the_charge(small).state, the_bill(small).state) == ("given_up", "overdue")
    assert stripe.intents(bill.reference) == []
    check(stripe, small)


def test_a_card_that_was_detached_fails(world: World, stripe: FakeStripe, north: Node) -> None:
    card_id = a_card(world, stripe, north)
    issue(world, north)
    stripe.get(card_id)["customer"] = None
    pay(world)

    assert [each["code"] for each in the_charge(north).failures] == ["card_unusable"]
    check(stripe, north)


def test_another_card_is_tried_at_once_even_after_the_last_day(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    a_card(world, stripe, north, "declined")
    bill = issue(world, north)
    pay(world)
    for days in (1, 3, 5, 7):
        world.now = ISSUED + days * DAY
        run_charges(world)
    assert the_charge(north).state == "given_up"
    good = a_card(world, stripe, north, active=False)
    answer = world.call("payments.activate_card", administrator(north), path={"card_id": good})
    assert answer.status == 200, answer.text
    pay(world)

    assert (the_bill(north).state, the_charge(north).card_id) == ("paid", good)
    assert stripe.charged(bill.reference) == bill.total_minor
    check(stripe, north)


def test_while_the_books_are_held_no_attempt_is_begun(world: World, stripe: FakeStripe, north: Node) -> None:
    a_card(world, stripe, north)
    bill = issue(world, north)
    _, writes = holds.placed(None, north, [], world.now)
    write([stage(each) for each in writes])
    pay(world)
    world.advance(hours=1)
    run_charges(world)
    assert (the_charge(north).state, stripe.intents(bill.reference)) == ("waiting", [])

    hold = holds.find_record(EVERYTHING, north)
    assert hold is not None
    write([stage(Update(hold, Change(parked_id=None)))])
    run_charges(world)
    assert the_bill(north).state == "paid"
    check(stripe, north)


def test_nobody_else_s_bills_are_charged(world: World, stripe: FakeStripe) -> None:
    by_invoice = a_payer(date(2022, 12, 26))
    store(an_account(by_invoice, 1, counts=40, subscribed_on=date(2022, 12, 24)))
    store(an_account(by_invoice, 2, counts=40, plan="annual", subscribed_on=date(2022, 12, 24)))
    a_card(world, stripe, by_invoice)
    world.now = ISSUED
    run_month(world)
    run_year(world)
    pay(world)
    run_charges(world)

    assert len(bills(by_invoice)) == 2
    assert [find_charge(EVERYTHING, bill) for bill in bills(by_invoice)] == [None, None]
    assert stripe.all("payment_intent") == []


def test_money_of_an_intent_that_nobody_knows_here_is_kept_for_the_payer(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    """Should a bill ever have two, the second one's money is the distributor's."""
    a_card(world, stripe, north)
    bill = issue(world, north)
    pay(world)
    stray = stripe.make_intent(
        bill.total_minor,
        "usd",
        a_customer(world, stripe, north),
        dict(stripe.intents(bill.reference)[0]["metadata"]),
    )
    told = len(stripe.events)
    stripe.succeed(stray)
    for _ in range(2):
        tell_all(world, stripe, since=told)

    balance = find_credit_balance(EVERYTHING, north)
    assert balance is not None and balance.amount_minor == bill.total_minor
    check_books(north)
