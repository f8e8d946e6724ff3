from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from portal import keys
from portal.billing.records import Bill, list_payments
from portal.change import Change
from portal.consumer import Work
from portal.distributors.records import Distributor
from portal.journal import AuditEntry
from portal.payments import pages, provider
from portal.payments.records import Charge, find_page
from portal.scope import EVERYTHING
from portal.settings import settings
from portal.table import Put, Update, find, query, stage, write
from portal.tree import Node
from tests import books
from tests.payers import run_charges
from tests.support import FakeStripe, Fault, Harness
from tests.world import OPERATOR, Answer, Context, World, administrator


@pytest.fixture
def north(world: World) -> Node:
    """A distributor that owes 8.42 USD on a bill, 10001."""
    return _owing(world, "north", 4)


def _owing(world: World, name: str, mailboxes: int, currency: str = "USD") -> Node:
    world.now = datetime(2022, 12, 24, 3, tzinfo=UTC)
    prices = books.PRICES | {"currency": currency}
    distributor = books.a_payer(world.now.date(), name, prices=prices)
    record = find(Distributor, keys.node(distributor), keys.NODE)
    assert record is not None
    write([stage(Update(record, Change(currency=currency)))])
    books.store(books.an_account(distributor, 1, counts=mailboxes))
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    return distributor


def open_page(world: World, distributor: Node, reference: str = "10001", **more: Any) -> Answer:
    caller = administrator(distributor)
    return world.call("payments.open_payment_page", caller, path={"reference": reference}, **more)


def bill_of(distributor: Node) -> Bill:
    return books.bills(distributor)[-1]


def settle(world: World, distributor: Node) -> None:
    pages.settle(Work(world.now, Context()), distributor, bill_of(distributor).sk)


def pay(world: World, distributor: Node, minor: int) -> None:
    """A bank transfer outside of the page."""
    body = {"amount": f"{minor / 100:.2f}", "currency": "USD", "received_on": world.now.date().isoformat()}
    answer = world.call("operators.record_payment", OPERATOR, path={"reference": "10001"}, body=body)
    assert answer.status < 300, answer.text


def open_pages(stripe: FakeStripe) -> list[str]:
    return [each["id"] for each in stripe.all("checkout.session") if each["status"] == "open"]


def test_it_answers_where_the_bill_can_be_paid(world: World, stripe: FakeStripe, north: Node) -> None:
    answer = open_page(world, north)
    [session] = stripe.all("checkout.session")
    assert (answer.status, answer.json) == (
        201,
        {
            "reference": "10001",
            "url": session["url"],
            "expires_at": "2023-01-24T15:00:00Z",
            "amount": {"amount": "8.42", "minor": 842, "currency": "USD"},
        },
    )
    assert (session["amount_total"], session["currency"], session["client_reference_id"]) == (
        842,
        "usd",
        "10001",
    )
    assert session["payment_method_types"] == ["card", "paypal"]
    told = {"distributor_id": "dst_north", "bill_sk": bill_of(north).sk, "reference": "10001"}
    for metadata in (session["metadata"], session["intent_metadata"]):
        assert told.items() <= metadata.items()
    [entry] = query(AuditEntry, keys.node(north), "AUDIT#")
    assert entry.description == "Opened a payment page for bill 10001 over 8.42 USD"


@pytest.mark.parametrize(
    ("currency", "mailboxes", "offered"),
    [("USD", 475, True), ("USD", 474, False), ("EUR", 430, True), ("EUR", 427, False), ("CHF", 475, False)],
)
def test_above_1000_dollars_or_what_is_worth_as_much_a_bank_transfer_is_offered(
    world: World, stripe: FakeStripe, currency: str, mailboxes: int, offered: bool
) -> None:
    open_page(world, _owing(world, "north", mailboxes, currency))
    [session] = stripe.all("checkout.session")
    assert ("customer_balance" in session["payment_method_types"]) is offered


def test_while_it_is_open_it_is_answered_again_and_then_comes_a_new_one(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    first = open_page(world, north)
    world.advance(hours=11)
    assert open_page(world, north).json == first.json
    assert len(list(query(AuditEntry, keys.node(north), "AUDIT#"))) == 1
    world.advance(minutes=55)
    second = open_page(world, north)
    assert second.json["url"] != first.json["url"]
    world.advance(days=3)
    third = open_page(world, north)
    assert [each["status"] for each in stripe.all("checkout.session")] == ["expired", "expired", "open"]
    assert third.json["url"] == stripe.all("checkout.session")[-1]["url"]


def test_another_amount_needs_another_page_and_the_old_one_is_closed(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    open_page(world, north)
    pay(world, north, 300)
    again = open_page(world, north)
    assert again.json["amount"]["amount"] == "5.42"
    assert [each["status"] for each in stripe.all("checkout.session")] == ["expired", "open"]


def test_what_is_paid_on_it_is_recorded_once(world: World, stripe: FakeStripe, north: Node) -> None:
    open_page(world, north)
    stripe.pay(open_pages(stripe)[0])
    for _ in range(3):
        settle(world, north)
    bill = bill_of(north)
    [payment] = list_payments(EVERYTHING, bill)
    [intent] = stripe.intents("10001")
    assert (bill.state, payment.payment_id, payment.paid_by) == ("paid", intent["id"], "payment_page")
    assert int(payment.amount_minor) == stripe.charged("10001") == 842
    assert find_page(EVERYTHING, bill).state == "paid"
    assert open_page(world, north).code == "nothing_owed"
    books.check_books(north)


def test_before_anything_is_told_nobody_pays_twice(world: World, stripe: FakeStripe, north: Node) -> None:
    open_page(world, north)
    stripe.pay(open_pages(stripe)[0])
    refused = open_page(world, north)
    assert (refused.status, refused.code) == (409, "payment_in_progress")
    # Should the provider have told nobody, it is looked into.
    wanted = {"kind": "page", "distributor_id": "dst_north", "bill_sk": bill_of(north).sk}
    assert wanted in books.outbox(north, "Payments")
    assert len(stripe.all("checkout.session")) == 1


def test_a_bank_transfer_is_waited_for_until_somebody_asks_to_pay_otherwise(
    world: World, stripe: FakeStripe
) -> None:
    north = _owing(world, "north", 500)
    open_page(world, north)
    stripe.pay(open_pages(stripe)[0], "customer_balance")
    [intent] = stripe.intents("10001")
    # Announced, and nothing was sent yet.
    settle(world, north)
    assert find_page(EVERYTHING, bill_of(north)).state == "processing"
    assert open_page(world, north).status == 201
    assert stripe.get(intent["id"])["status"] == "canceled"
    assert len(open_pages(stripe)) == 1


def test_a_transfer_that_arrives_is_recorded_and_one_that_is_cancelled_lets_another_page_open(
    world: World, stripe: FakeStripe, harness: Harness
) -> None:
    north = _owing(world, "north", 500)
    open_page(world, north)
    stripe.pay(open_pages(stripe)[0], "customer_balance")
    settle(world, north)
    start = harness.snapshot()
    stripe.transfer(stripe.intents("10001")[0]["id"], int(bill_of(north).total_minor))
    settle(world, north)
    assert bill_of(north).state == "paid"
    harness.restore(start)
    stripe.cancel(stripe.intents("10001")[0]["id"])
    settle(world, north)
    assert find_page(EVERYTHING, bill_of(north)).state == "closed"
    assert open_page(world, north).status == 201


def test_a_card_payment_that_fails_later_lets_another_page_open(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    open_page(world, north)
    stripe.pay(open_pages(stripe)[0], "card", "processing")
    settle(world, north)
    assert open_page(world, north).code == "payment_in_progress"
    stripe.settle(stripe.intents("10001")[0]["id"], succeeds=False)
    settle(world, north)
    assert open_page(world, north).status == 201


@pytest.mark.parametrize(
    ("currency", "asked"),
    [
        ("USD", {"type": "us_bank_transfer"}),
        ("EUR", {"type": "eu_bank_transfer", "eu_bank_transfer": {"country": "DE"}}),
    ],
)
def test_a_bank_transfer_is_called_what_the_provider_calls_it(
    world: World, stripe: FakeStripe, currency: str, asked: Any
) -> None:
    open_page(world, _owing(world, "north", 475, currency))
    [session] = stripe.all("checkout.session")
    assert session["bank_transfer"] == asked


def test_a_part_of_a_transfer_is_never_given_up(world: World, stripe: FakeStripe) -> None:
    north = _owing(world, "north", 500)
    open_page(world, north)
    stripe.pay(open_pages(stripe)[0], "customer_balance")
    [intent] = stripe.intents("10001")
    stripe.transfer(intent["id"], 50_000)
    assert open_page(world, north).code == "payment_in_progress"
    world.advance(days=30)
    with pytest.raises(pages.SomethingIsPaid):
        pages.withdraw(Work(world.now, Context()), bill_of(north))
    assert intent["status"] == "requires_action"
    stripe.transfer(intent["id"], int(bill_of(north).total_minor) - 50_000)
    settle(world, north)
    assert bill_of(north).state == "paid"
    books.check_books(north)


def test_what_the_provider_told_nobody_of_is_looked_up_when_the_page_is_over(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    open_page(world, north)
    world.advance(hours=1)
    stripe.pay(open_pages(stripe)[0])
    world.advance(hours=10, minutes=59)
    assert world.run("payments.run_charges")["messages"] == 0
    world.advance(minutes=1)
    run_charges(world)
    assert (bill_of(north).state, find_page(EVERYTHING, bill_of(north)).state) == ("paid", "paid")
    world.advance(days=30)
    assert world.run("payments.run_charges")["messages"] == 0


def test_money_on_its_way_is_looked_for_every_day(world: World, stripe: FakeStripe) -> None:
    north = _owing(world, "north", 500)
    open_page(world, north)
    stripe.pay(open_pages(stripe)[0], "customer_balance")
    [intent] = stripe.intents("10001")
    run_charges(world)
    for hours, messages in ((12, 1), (23, 0), (1, 1), (24, 1)):
        world.advance(hours=hours)
        assert run_charges(world) == messages
    stripe.transfer(intent["id"], int(bill_of(north).total_minor))
    world.advance(hours=24)
    run_charges(world)
    assert bill_of(north).state == "paid"


def test_an_amount_that_cannot_be_charged_is_told(world: World, stripe: FakeStripe, north: Node) -> None:
    pay(world, north, 800)
    refused = open_page(world, north)
    assert (refused.status, refused.code) == (409, "amount_refused")
    pay(world, north, 42)
    assert bill_of(north).state == "paid"


def test_a_page_of_a_bill_that_is_settled_otherwise_is_closed(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    open_page(world, north)
    pay(world, north, 842)
    settle(world, north)
    assert (open_pages(stripe), find_page(EVERYTHING, bill_of(north)).state) == ([], "closed")
    settle(world, north)


def test_what_is_paid_on_it_at_the_last_moment_is_not_lost(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    open_page(world, north)
    pay(world, north, 842)
    stripe.pay(open_pages(stripe)[0])
    settle(world, north)
    assert sum(int(each.amount_minor) for each in list_payments(EVERYTHING, bill_of(north))) == 2 * 842
    assert find_page(EVERYTHING, bill_of(north)).state == "paid"


def _charge(world: World, bill: Bill, state: str) -> Charge:
    charge = Charge(
        keys.bill_parts(bill.node, bill.sk),
        keys.CHARGE,
        state=state,
        begun_at=world.now,
        created_at=world.now,
    )
    write([stage(Put(charge))])
    return charge


def test_no_page_opens_while_a_card_is_charged_and_none_stays_open_when_one_is_going_to_be(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    charge = _charge(world, bill_of(north), "asked")
    assert open_page(world, north).code == "payment_in_progress"
    write([stage(Update(charge, Change(state="waiting")))])
    assert open_page(world, north).status == 201
    work = Work(world.now, Context())
    assert pages.withdraw(work, bill_of(north)).state == "closed"
    assert open_pages(stripe) == []
    open_page(world, north)
    stripe.pay(open_pages(stripe)[0])
    with pytest.raises(pages.SomethingIsPaid):
        pages.withdraw(work, bill_of(north))


def test_what_is_not_there_is_not_paid(world: World, stripe: FakeStripe, north: Node) -> None:
    south = books.a_payer(world.now.date(), "south")
    assert open_page(world, south).code == "not_found"
    assert open_page(world, north, "10002").code == "not_found"
    for caller in (OPERATOR, administrator(north.child("prt_1")), administrator(books.node_of(north))):
        answer = world.call("payments.open_payment_page", caller, path={"reference": "10001"})
        assert answer.code == "not_permitted"
    assert stripe.all("customer") == []


def test_trouble_at_the_provider_is_told_and_the_next_request_goes_on(
    world: World, stripe: FakeStripe, north: Node, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_pages(call: Any) -> bool:
        return call.service == "http" and "checkout" in str(call.summary)

    harness.fail(1, Fault.TIMEOUT_AFTER, to_pages)
    answer = open_page(world, north)
    assert (answer.status, answer.code) == (503, "payment_provider_unavailable")
    assert open_page(world, north).status == 201
    assert len(stripe.all("checkout.session")) == 1
    monkeypatch.setattr(provider, "settings", replace(settings, stripe_publishable_key=""))
    assert open_page(world, north).code == "card_payments_unavailable"


def test_an_idempotency_key_brings_the_same_answer(world: World, stripe: FakeStripe, north: Node) -> None:
    first = open_page(world, north, headers={"Idempotency-Key": "a"})
    world.advance(hours=13)
    assert open_page(world, north, headers={"Idempotency-Key": "a"}).json == first.json
    assert len(stripe.all("checkout.session")) == 1


@pytest.mark.money
def test_a_crash_anywhere_leaves_one_page_that_somebody_knows(
    world: World, stripe: FakeStripe, north: Node, harness: Harness
) -> None:
    # A process that has read its secrets.
    world.call("payments.add_card", administrator(books.a_payer(world.now.date(), "south")))
    runs = 0
    for prepare in (lambda: None, lambda: (open_page(world, north), pay(world, north, 100))):
        start = harness.snapshot()
        prepare()
        for hours in (0.02, 25):
            for _ in harness.sweep(lambda: open_page(world, north)):
                world.advance(hours=hours)
                answer = open_page(world, north)
                assert answer.status == 201
                assert [stripe.get(each)["url"] for each in open_pages(stripe)] == [answer.json["url"]]
                assert len({each["customer"] for each in stripe.all("checkout.session")}) == 1
                runs += 1
        harness.restore(start)
    assert runs > 80


@pytest.mark.races
def test_whoever_opens_it_at_once_gets_the_same_page(
    world: World, stripe: FakeStripe, north: Node, harness: Harness
) -> None:
    for _, outcomes in harness.rounds(32, lambda: open_page(world, north), seeds=range(5)):
        answers = [outcome.get() for outcome in outcomes]
        opened = [each for each in answers if each.status == 201]
        assert {each.status for each in answers} <= {201, 409}
        assert len({each.json["url"] for each in opened}) == 1
        assert [stripe.get(each)["url"] for each in open_pages(stripe)] == [opened[0].json["url"]]
        assert len(stripe.all("customer")) == 1
