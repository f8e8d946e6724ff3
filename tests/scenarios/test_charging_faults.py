"""Charging when anything fails, comes twice, at once, late or in another order, and when somebody lies: a bill is paid once,
and what the provider has charged is what is recorded.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from portal.adapters import stripe as provider
from portal.adapters.secrets import payment_secrets
from portal.billing.records import Bill, list_payments
from portal.change import Change
from portal.payments import charging
from portal.payments.records import Charge, find_payer
from portal.scope import EVERYTHING
from portal.table import Update
from portal.tree import Node
from tests.books import a_payer, an_account, balances, bills, check_books, outbox, run_month, store
from tests.payers import a_card, pay, run_charges, tell, the_charge
from tests.support import Call, FakeStripe, Fault, Harness
from tests.world import OPERATOR, World

pytestmark = pytest.mark.money

ISSUED = datetime(2023, 1, 24, 2, 0, 5, tzinfo=UTC)
WORKER = "payments.on_payment_due"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def north(world: World, stripe: FakeStripe) -> Node:
    """A distributor whose bill was issued just now and is to be charged."""
    north = a_payer(date(2022, 12, 26), billing_method="credit_card")
    store(an_account(north, 1, counts=40, subscribed_on=date(2022, 12, 24)))
    a_card(world, stripe, north)
    # Read once per process, which is not what is struck.
    payment_secrets()
    world.now = ISSUED
    run_month(world)
    world.stream("notifications.deliver_outbox")
    world.messages("Payments")
    return north


def the_bill(north: Node) -> Bill:
    return bills(north)[-1]


def go_on(world: World, north: Node) -> Callable[[], None]:
    """The worker's turn with the bill; a message that it fails on stays in the queue."""
    message = {"kind": "bill", "distributor_id": north.distributor, "bill_sk": the_bill(north).sk}

    def action() -> None:
        with suppress(AssertionError):
            world.deliver(WORKER, message)

    return action


def state(stripe: FakeStripe, north: Node) -> Any:
    """What charging leaves behind, here and at the provider, without when it did."""
    bill, charge = the_bill(north), the_charge(north)
    return (
        (bill.state, int(bill.paid_minor), int(bill.payment_count)),
        (charge.state, int(charge.attempts), charge.intent_id, charge.last_charge_id, charge.look_at is None),
        [(each.payment_id, int(each.amount_minor), each.paid_by) for each in list_payments(EVERYTHING, bill)],
        balances(north),
        sorted(f"{body['template']} {body['dedupe']}" for body in outbox(north, "Mail")),
        sorted(str(body.get("payment")) for body in outbox(north, "Documents")),
        [(each["status"], each["amount_received"]) for each in stripe.intents(bill.reference or "")],
    )


def check(stripe: FakeStripe, north: Node, said: str = "") -> None:
    check_books(north)
    reference = the_bill(north).reference or ""
    payments = list_payments(EVERYTHING, the_bill(north))
    by_card = [int(each.amount_minor) for each in payments if each.paid_by == "credit_card"]
    assert len(stripe.intents(reference)) <= 1, said
    assert sum(by_card) == stripe.charged(reference), said


def changes_something(call: Call) -> bool:
    """Whether it may have an effect, here or at the provider."""
    return call.service == "http" or call.writes


def sweep(
    harness: Harness,
    world: World,
    stripe: FakeStripe,
    north: Node,
    action: Callable[[], None] | None = None,
) -> int:
    """Strike each call that may have an effect with each fault, and go on a minute and 25 hours later: it all ends as if
    nothing had happened. Returns how many runs there were.
    """
    action = action or go_on(world, north)
    start, runs = harness.snapshot(), 0
    action()
    expected = state(stripe, north)
    check(stripe, north)
    harness.restore(start)
    for run in harness.sweep(action, match=changes_something):
        struck = harness.snapshot()
        for later, again in ((MINUTE, action), (timedelta(hours=25), lambda: run_charges(world))):
            world.now += later
            again()
            assert state(stripe, north) == expected, f"{run}, done again after {later}"
            harness.restore(struck)
            runs += 1
    return runs


def test_a_card_is_charged_once_whatever_fails(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    runs = sweep(harness, world, stripe, north)

    assert runs > 40
    go_on(world, north)()
    assert stripe.charged(the_bill(north).reference or "") == the_bill(north).total_minor
    assert the_bill(north).state == "paid"


def test_a_later_attempt_is_made_once_whatever_fails(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    """With an amount that has changed, and another card."""
    stripe.behave(the_card(north), "declined")
    go_on(world, north)()
    transfer = {"amount": "1.00", "currency": "USD", "received_on": "2023-01-24"}
    path = {"reference": the_bill(north).reference or ""}
    assert world.call("operators.record_payment", OPERATOR, path=path, body=transfer).status == 201
    a_card(world, stripe, north)
    world.now = ISSUED + DAY

    assert sweep(harness, world, stripe, north) > 20
    go_on(world, north)()
    assert stripe.charged(path["reference"]) == the_bill(north).total_minor - 100


def test_a_bill_settled_otherwise_is_let_go_of_whatever_fails(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    stripe.behave(the_card(north), "declined")
    go_on(world, north)()
    bill = the_bill(north)
    transfer = {"amount": f"{bill.total_minor / 100:.2f}", "currency": "USD", "received_on": "2023-01-24"}
    path = {"reference": bill.reference or ""}
    assert world.call("operators.record_payment", OPERATOR, path=path, body=transfer).status == 201

    assert sweep(harness, world, stripe, north) > 10
    go_on(world, north)()
    assert (the_charge(north).state, stripe.charged(path["reference"])) == ("stopped", 0)


def test_a_declined_card_is_noted_whatever_fails(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    """Once an attempt; 25 hours later the next one may be due, and is made too."""
    stripe.behave(the_card(north), "declined")
    action, reference = go_on(world, north), the_bill(north).reference or ""
    for run in harness.sweep(action, match=changes_something):
        struck = harness.snapshot()
        for later, again, most in ((MINUTE, action, 1), (timedelta(hours=25), lambda: run_charges(world), 2)):
            world.now += later
            again()
            charge = the_charge(north)
            told = [body for body in outbox(north, "Mail") if body["template"] == "charge_failed"]
            assert 1 <= len(charge.failures) == charge.attempts == len(told) <= most, str(run)
            assert charge.state == "waiting" and charge.last_charge_id, str(run)
            assert len(stripe.intents(reference)) == 1, str(run)
            harness.restore(struck)


def the_card(north: Node) -> str:
    payer = find_payer(EVERYTHING, north)
    assert payer is not None and payer.active_card_id
    card_id: str = payer.active_card_id
    return card_id


# Planted bugs


def test_a_charge_that_creates_without_looking_up_is_caught(
    harness: Harness, world: World, stripe: FakeStripe, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key alone is forgotten after a day."""
    monkeypatch.setattr(provider, "find_intent", lambda *about: None)
    with pytest.raises(AssertionError, match="TIMEOUT_AFTER|CRASH_AFTER"):
        sweep(harness, world, stripe, north)


def test_a_charge_that_forgets_its_intent_charges_twice_and_is_caught(
    harness: Harness, world: World, stripe: FakeStripe, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Created and confirmed in one go, as who trusts the key does it."""

    def in_one_go(work: Any, bill: Bill, charge: Charge) -> bool:
        about = {"distributor_id": bill.node.distributor, "bill_sk": bill.sk}
        amount = int(charge.amount_minor)
        made = provider.create_intent(
            stripe.all("customer")[0]["id"], bill.reference or "", amount, bill.currency, about
        )
        provider.confirm_intent(made.intent_id, charge.card_id or "", f"{bill.reference}-{charge.attempts}")
        work.commit(Update(charge, Change(intent_id=made.intent_id)))
        return True

    monkeypatch.setattr(charging, "_find_or_create", in_one_go)
    harness.fail(kind=Fault.TIMEOUT_AFTER, match=lambda call: "/confirm" in call.summary)
    go_on(world, north)()
    world.now += timedelta(hours=25)
    run_charges(world)

    assert len(stripe.successes(the_bill(north).reference or "")) == 2
    with pytest.raises(AssertionError):
        check(stripe, north)


# Copies


@pytest.mark.races
def test_32_copies_of_a_charge_charge_once(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    action = go_on(world, north)
    action_result = harness.snapshot()
    action()
    expected = state(stripe, north)
    harness.restore(action_result)
    for seed, _ in harness.rounds(32, action, seeds=range(20)):
        action()
        check(stripe, north, f"seed {seed}")
        assert state(stripe, north) == expected, f"seed {seed}"


@pytest.mark.races
def test_a_charge_and_what_the_provider_tells_meanwhile_charge_once(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    """The webhook of a success may well be faster than the answer."""
    stripe.behave(the_card(north), "declined")
    action = go_on(world, north)
    action()
    stripe.behave(the_card(north), "ok")
    world.now = ISSUED + DAY
    told = {"kind": "told", "about": "payment_intent", "id": the_charge(north).intent_id}

    def settle() -> None:
        with suppress(AssertionError):
            world.deliver(WORKER, told)

    start = harness.snapshot()
    for seed in range(20):
        harness.run_together([action, settle, action, settle], seed=seed)
        settle()
        check(stripe, north, f"seed {seed}")
        assert (the_bill(north).state, the_charge(north).attempts) == ("paid", 2), f"seed {seed}"
        harness.restore(start)


@pytest.mark.races
def test_32_copies_of_a_webhook_are_noted_once(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    go_on(world, north)()
    event = next(each for each in stripe.events if each["type"] == "payment_intent.succeeded")
    for seed, outcomes in harness.rounds(32, lambda: tell(world, stripe, event).status, seeds=range(20)):
        answers = {outcome.get() for outcome in outcomes}
        assert answers <= {204, 409} and 204 in answers, f"seed {seed}"
        world.stream("notifications.deliver_outbox")
        waiting = [each for each in world.messages("Payments") if each["kind"] == "told"]
        assert [each["event_id"] for each in waiting] == [event["id"]], f"seed {seed}"


def test_a_webhook_is_noted_whatever_fails(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    go_on(world, north)()
    world.stream("notifications.deliver_outbox")
    event = stripe.events[-1]
    for later in (MINUTE, timedelta(hours=25)):
        for run in harness.sweep(lambda: tell(world, stripe, event)):
            world.now += later
            assert tell(world, stripe, event).status == 204, str(run)
            world.stream("notifications.deliver_outbox")
            told = [each["event_id"] for each in world.messages("Payments") if each["kind"] == "told"]
            assert told == [event["id"]], str(run)


def test_what_is_told_is_taken_in_whatever_fails(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    """The money of a slow card has come, and only the webhook says so."""
    stripe.behave(the_card(north), "processing")
    go_on(world, north)()
    stripe.settle(the_charge(north).intent_id)
    message = {"kind": "told", "about": "payment_intent", "id": the_charge(north).intent_id}

    def settle() -> None:
        with suppress(AssertionError):
            world.deliver(WORKER, message)

    assert sweep(harness, world, stripe, north, settle) > 5
    settle()
    assert the_bill(north).state == "paid"


# Order and number


def test_in_whatever_order_and_however_often_it_is_told_the_same_comes_of_it(
    harness: Harness, world: World, stripe: FakeStripe, north: Node
) -> None:
    stripe.behave(the_card(north), "declined")
    go_on(world, north)()
    stripe.behave(the_card(north), "ok")
    world.now = ISSUED + DAY
    run_charges(world)
    kinds = ("payment_intent.payment_failed", "payment_intent.succeeded", "payment_method.attached")
    events = [each for each in stripe.events if each["type"] in kinds]
    assert len(events) == 3
    expected = state(stripe, north)
    start = harness.snapshot()
    orders = [*permutations(events), events * 2, [each for each in reversed(events) for _ in range(5)]]
    for order in orders:
        for event in order:
            assert tell(world, stripe, event).status == 204
            pay(world)
        check(stripe, north)
        assert state(stripe, north) == expected
        harness.restore(start)


# Lies


def test_whoever_is_not_the_provider_tells_nothing(world: World, stripe: FakeStripe, north: Node) -> None:
    go_on(world, north)()
    world.stream("notifications.deliver_outbox")
    world.messages("Payments")
    event = stripe.events[-1]
    body, signature = stripe.signed(event)
    stamp = signature.split(",")[0]
    refused = [
        (body, ""),
        (body, "nonsense"),
        (body, stamp),
        (body, f"{stamp},v1="),
        (body, f"{stamp},v1={'0' * 64}"),
        (body, f"{stamp},v1=äö"),
        (body, signature.replace("v1", "v0")),
        (body, signature.replace(stamp, f"t={int(stamp[2:]) + 1}")),
        (body + " ", signature),
        (body.replace(north.distributor, "dst_other"), signature),
        stripe.signed(event, secret="whsec_of_somebody_else"),
        stripe.signed(event, secret=""),
        stripe.signed(event, world.now - timedelta(minutes=5, seconds=1)),
        stripe.signed(event, world.now + timedelta(minutes=5, seconds=1)),
        stripe.signed([event]),
        stripe.signed({"id": "evt_1"}),
        stripe.signed({**event, "data": {"object": "nothing"}}),
        stripe.signed({**event, "data": None}),
        stripe.signed("text"),
        stripe.signed(None),
    ]
    for sent, signed in refused:
        answer = world.call("payments.take_provider_event", body=sent, headers={"Stripe-Signature": signed})
        assert (answer.status, answer.code) == (400, "forged_webhook"), (sent[:40], signed)
    answer = world.call("payments.take_provider_event", headers={"Stripe-Signature": signature})
    assert (answer.status, answer.code) == (400, "forged_webhook")
    world.stream("notifications.deliver_outbox")
    assert world.messages("Payments") == []
    for at in (world.now - timedelta(minutes=5), world.now + timedelta(minutes=5)):
        assert tell(world, stripe, event, at).status == 204


def test_nothing_that_is_told_is_believed(world: World, stripe: FakeStripe, north: Node) -> None:
    """Signed, as if the provider had been taken over: only what it answers when it is asked counts."""
    stripe.behave(the_card(north), "declined")
    go_on(world, north)()
    failed = next(each for each in stripe.events if each["type"] == "payment_intent.payment_failed")
    before = state(stripe, north)
    intent = failed["data"]["object"]
    lies = [
        {**intent, "status": "succeeded", "amount_received": intent["amount"]},
        {**intent, "id": "pi_unknown", "status": "succeeded", "amount_received": 1},
        {**intent, "customer": "cus_other", "status": "succeeded"},
        {**intent, "metadata": {}},
        {**intent, "metadata": {**intent["metadata"], "distributor_id": "dst_other"}},
    ]
    for number, lie in enumerate(lies):
        event = {
            **failed,
            "id": f"evt_lie_{number}",
            "type": "payment_intent.succeeded",
            "data": {"object": lie},
        }
        assert tell(world, stripe, event).status == 204
        pay(world)
        assert state(stripe, north) == before
    check(stripe, north)


def test_the_intent_of_another_s_customer_pays_nothing(world: World, stripe: FakeStripe, north: Node) -> None:
    """Somebody with access to the provider gives it the bill of another."""
    south = a_payer(date(2022, 12, 26), "south", billing_method="credit_card")
    a_card(world, stripe, south)
    go_on(world, north)()
    before = state(stripe, north)
    customers = {each["metadata"]["distributor_id"]: each["id"] for each in stripe.all("customer")}
    about = dict(stripe.intents(the_bill(north).reference or "")[0]["metadata"])
    unknown = stripe.make_customer("dst_unknown")
    told = len(stripe.events)
    for customer in (customers["dst_south"], unknown):
        stripe.succeed(stripe.make_intent(500, "usd", customer, {**about, "reference": "of nothing here"}))
    for event in stripe.events[told:]:
        assert tell(world, stripe, event).status == 204
    pay(world)

    assert state(stripe, north) == before


def test_a_bill_that_is_not_there_is_no_trouble(world: World, stripe: FakeStripe, north: Node) -> None:
    customer = stripe.all("customer")[0]["id"]
    about = {"distributor_id": north.distributor, "bill_sk": "BILL#2020-01-01#monthly#credit_card"}
    told = len(stripe.events)
    stripe.succeed(stripe.make_intent(500, "usd", customer, about))
    assert tell(world, stripe, stripe.events[told]).status == 204
    pay(world)
    check_books(north)


# Money that goes back


def test_operators_find_what_was_refunded_or_disputed_once(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    go_on(world, north)()
    intent_id, told = the_charge(north).intent_id, len(stripe.events)
    stripe.refund(intent_id, 100)
    stripe.dispute(intent_id)
    world.advance(minutes=1)
    stripe.refund(intent_id, 200)
    before = state(stripe, north)
    for _ in range(2):
        for event in stripe.events[told:]:
            assert tell(world, stripe, event).status == 204
        world.stream("notifications.deliver_outbox")
        for message in world.messages("Payments"):
            world.deliver(WORKER, message)
            world.deliver(WORKER, message)

    listed = world.call("operators.list_parked", OPERATOR).json["items"]
    both = ["refunded_at_provider", "disputed_at_provider"]
    assert [(each["reasons"], each["bill_state"], each["reference"]) for each in listed] == [
        (both, "paid", the_bill(north).reference)
    ] * 3
    assert state(stripe, north) == before
    for each in listed:
        path = {"parked_id": each["parked_id"]}
        assert world.call("operators.release_parked", OPERATOR, path=path).status == 200
        assert world.call("operators.release_parked", OPERATOR, path=path).code == "not_waiting"
    assert world.call("operators.list_parked", OPERATOR).json["items"] == []
    assert state(stripe, north) == before
