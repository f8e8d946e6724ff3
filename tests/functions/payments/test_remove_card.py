from datetime import date

import pytest

from portal import keys
from portal.change import Change
from portal.consumer import Work
from portal.journal import AuditEntry
from portal.payments import cards
from portal.table import Update, query, stage, write
from portal.tree import Node
from tests import books, payers
from tests.support import FakeStripe, Harness
from tests.world import OPERATOR, Answer, Context, World, administrator


def remove(world: World, distributor: Node, card_id: str) -> Answer:
    return world.call("payments.remove_card", administrator(distributor), path={"card_id": card_id})


def shown(world: World, distributor: Node) -> list[str]:
    items = world.call("payments.list_cards", administrator(distributor)).json["items"]
    return [each["card_id"] for each in items]


@pytest.fixture
def owing(world: World, stripe: FakeStripe) -> Node:
    """A distributor whose bill 10001 could not be charged to its only card."""
    world.clock.set("2022-12-24T03:00:00+00:00")
    north = books.a_payer(world.now.date(), billing_method="credit_card")
    books.store(books.an_account(north, 1, counts=4))
    payers.a_card(world, stripe, north, "declined")
    world.clock.set("2023-01-24T03:00:00+00:00")
    books.run_month(world)
    payers.pay(world)
    return north


def test_it_is_gone_here_at_once_and_at_the_provider_afterwards(world: World, stripe: FakeStripe) -> None:
    north = books.a_payer(date(2023, 1, 1))
    first, second = (payers.a_card(world, stripe, north, active=not at) for at in range(2))
    customer = stripe.get(second)["customer"]
    assert remove(world, north, second).status == 204
    assert shown(world, north) == [first]
    assert stripe.get(second)["customer"] == customer
    [message] = books.outbox(north, "Payments")
    assert message == {"kind": "detach", "card_id": second, "distributor_id": "dst_north"}
    for _ in range(2):
        cards.detach(Work(world.now, Context()), second)
    assert stripe.get(second)["customer"] is None
    [entry] = query(AuditEntry, keys.node(north), "AUDIT#")
    assert entry.description == "Removed the card visa ending in 4242"
    assert remove(world, north, second).code == "not_found"
    answer = world.call("payments.activate_card", administrator(north), path={"card_id": second})
    assert answer.code == "not_found"


def test_the_active_one_goes_as_the_last_one(world: World, stripe: FakeStripe) -> None:
    north = books.a_payer(date(2023, 1, 1))
    first, second = (payers.a_card(world, stripe, north, active=not at) for at in range(2))
    answer = remove(world, north, first)
    assert (answer.status, answer.code) == (409, "card_is_active")
    remove(world, north, second)
    assert remove(world, north, first).status == 204
    assert shown(world, north) == []


def test_not_while_something_is_to_be_charged_to_it(world: World, stripe: FakeStripe, owing: Node) -> None:
    [card] = shown(world, owing)
    answer = remove(world, owing, card)
    assert (answer.status, answer.code) == (409, "card_needed")
    body = {"amount": "8.42", "currency": "USD", "received_on": "2023-01-24"}
    world.call("operators.record_payment", OPERATOR, path={"reference": "10001"}, body=body)
    assert remove(world, owing, card).status == 204


def test_not_while_it_is_being_charged(world: World, stripe: FakeStripe, owing: Node) -> None:
    [card] = shown(world, owing)
    payers.a_card(world, stripe, owing)
    write([stage(Update(payers.the_charge(owing), Change(state="asked", card_id=card)))])
    assert remove(world, owing, card).code == "payment_in_progress"
    write([stage(Update(payers.the_charge(owing), Change(state="waiting")))])
    assert remove(world, owing, card).status == 204


def test_anothers_card_is_not_there(world: World, stripe: FakeStripe) -> None:
    north, south = books.a_payer(date(2023, 1, 1)), books.a_payer(date(2023, 1, 1), "south")
    card = payers.a_card(world, stripe, north)
    for wrong in (card, "pm_never"):
        assert remove(world, south, wrong).code == "not_found"
    assert world.call("payments.remove_card", OPERATOR, path={"card_id": card}).code == "not_permitted"
    assert shown(world, north) == [card]


@pytest.mark.money
def test_a_crash_anywhere_is_put_right_by_asking_again(
    world: World, stripe: FakeStripe, harness: Harness
) -> None:
    north = books.a_payer(date(2023, 1, 1))
    card = payers.a_card(world, stripe, north)
    for run in harness.sweep(lambda: remove(world, north, card)):
        world.advance(hours=25)
        assert remove(world, north, card).status in (204, 404), run
        assert shown(world, north) == []
        assert len(books.outbox(north, "Payments")) == 1
        assert len(list(query(AuditEntry, keys.node(north), "AUDIT#"))) == 1


@pytest.mark.races
def test_a_card_that_is_activated_at_the_same_moment_stays(
    world: World, stripe: FakeStripe, harness: Harness
) -> None:
    north = books.a_payer(date(2023, 1, 1))
    payers.a_card(world, stripe, north)
    other = payers.a_card(world, stripe, north, active=False)
    path, admin = {"card_id": other}, administrator(north)
    together = [
        lambda: world.call("payments.activate_card", admin, path=path),
        lambda: remove(world, north, other),
    ]
    start = harness.snapshot()
    ends = set()
    for seed in range(20):
        activated, removed = (outcome.get().status for outcome in harness.run_together(together, seed=seed))
        ends.add((activated, removed, other in shown(world, north)))
        harness.restore(start)
    assert ends == {(200, 409, True), (404, 204, False)}
