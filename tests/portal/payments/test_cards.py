"""What the provider tells of cards, told late, twice, in any order, or by somebody who would like it to be so."""

from datetime import date
from itertools import permutations

import pytest

from portal import keys
from portal.consumer import Work
from portal.journal import AuditEntry
from portal.payments import cards
from portal.payments.records import find_card, find_known_card, find_payer, list_cards
from portal.scope import EVERYTHING
from portal.table import query
from portal.tree import Node
from tests import books, payers
from tests.support import FakeStripe, Harness
from tests.world import Context, World, administrator


@pytest.fixture
def north(world: World) -> Node:
    return books.a_payer(date(2023, 1, 1))


def begin(world: World, distributor: Node) -> str:
    set_up_id: str = world.call("payments.add_card", administrator(distributor)).json["set_up_id"]
    return set_up_id


def work(world: World) -> Work:
    return Work(world.now, Context())


def active(distributor: Node) -> str | None:
    payer = find_payer(EVERYTHING, distributor)
    card_id: str | None = payer.active_card_id if payer else None
    return card_id


def descriptions(distributor: Node) -> list[str]:
    return [entry.description for entry in query(AuditEntry, keys.node(distributor), "AUDIT#")]


def test_the_first_card_is_charged_and_further_ones_wait(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    first = stripe.complete(one := begin(world, north), last4="0001", brand="mastercard")
    second = stripe.complete(two := begin(world, north), last4="0002")
    assert list_cards(EVERYTHING, north) == []
    for set_up_id in (one, two, one, two):
        cards.settle_set_up(work(world), set_up_id)
        world.advance(seconds=1)
    assert [card.card_id for card in list_cards(EVERYTHING, north)] == [first, second]
    assert active(north) == first
    assert [each for each in descriptions(north) if each.startswith("Added")] == [
        "Added the card mastercard ending in 0001, to which bills are charged",
        "Added the card visa ending in 0002",
    ]


def test_a_set_up_that_came_to_nothing_adds_nothing(world: World, stripe: FakeStripe, north: Node) -> None:
    cards.settle_set_up(work(world), begin(world, north))
    cards.settle_set_up(work(world), "seti_never")
    assert list_cards(EVERYTHING, north) == []


def test_a_card_of_another_customer_is_never_taken(
    world: World, stripe: FakeStripe, north: Node, harness: Harness
) -> None:
    south = books.a_payer(date(2023, 1, 1), "south")
    card = stripe.complete(set_up := begin(world, south))
    of_north = begin(world, north)
    start = harness.items()
    # One that claims to be a set-up of the north's; a customer that is nobody's here; one that was detached meanwhile.
    stripe.get(of_north).update(status="succeeded", payment_method=card)
    cards.settle_set_up(work(world), of_north)
    stranger = stripe.make_customer("dst_north")
    stripe.get(of_north).update(customer=stranger, payment_method=stripe.make_card(stranger))
    cards.settle_set_up(work(world), of_north)
    stripe.get(card)["customer"] = None
    cards.settle_set_up(work(world), set_up)
    assert harness.items() == start


def test_what_was_removed_stays_removed_however_late_it_is_told(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    card = stripe.complete(set_up := begin(world, north))
    cards.settle_set_up(work(world), set_up)
    world.call("payments.remove_card", administrator(north), path={"card_id": card})
    cards.settle_set_up(work(world), set_up)
    cards.detach(work(world), card)
    cards.settle_set_up(work(world), set_up)
    cards.settle_card(work(world), card, stripe.all("customer")[0]["id"])
    assert (find_card(EVERYTHING, north, card), active(north)) == (None, None)
    assert find_known_card(EVERYTHING, north, card) is not None


def test_a_card_that_its_bank_renews_keeps_up(world: World, stripe: FakeStripe, north: Node) -> None:
    card = payers.a_card(world, stripe, north)
    customer = stripe.get(card)["customer"]
    cards.settle_card(work(world), card, customer)
    stripe.get(card)["card"].update(exp_year=2035, exp_month=1)
    for _ in range(2):
        cards.settle_card(work(world), card, customer)
    found = find_card(EVERYTHING, north, card)
    assert (found.exp_year, found.exp_month) == (2035, 1)
    assert descriptions(north) == ["The bank has renewed the card visa ending in 4242: 01/2035"]
    cards.settle_card(work(world), card, "cus_never")
    cards.settle_card(work(world), "pm_never", customer)
    cards.settle_card(work(world), card, None)


def test_a_card_that_is_taken_away_at_the_provider_is_charged_no_more(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    card = payers.a_card(world, stripe, north)
    customer, stripe.get(card)["customer"] = stripe.get(card)["customer"], None
    for _ in range(2):
        cards.settle_card(work(world), card, customer)
    assert (find_card(EVERYTHING, north, card), active(north)) == (None, None)
    assert descriptions(north) == ["The card visa ending in 4242 was taken away at the payment provider"]


def test_in_whatever_order_it_is_told_the_same_comes_of_it(
    world: World, stripe: FakeStripe, north: Node, harness: Harness
) -> None:
    before = len(stripe.events)
    kept = stripe.complete(begin(world, north), last4="0001")
    gone = stripe.complete(begin(world, north), last4="0002")
    customer = stripe.get(kept)["customer"]
    stripe.get(gone)["customer"] = None
    stripe._tell("payment_method.detached", stripe.get(gone), previous={"customer": customer})
    events = [each for each in stripe.events[before:] if each["type"] != "payment_method.attached"]
    start = harness.snapshot()
    for order in [
        *permutations(events, len(events)),
        events * 2,
        [each for each in events for _ in range(5)],
    ]:
        for event in order:
            assert payers.tell(world, stripe, event).status < 300
        payers.pay(world)
        assert [card.card_id for card in list_cards(EVERYTHING, north)] == [kept], order
        assert active(north) == kept
        harness.restore(start)


@pytest.mark.money
def test_a_crash_anywhere_is_put_right_when_it_is_told_again(
    world: World, stripe: FakeStripe, north: Node, harness: Harness
) -> None:
    card = stripe.complete(set_up := begin(world, north))
    for run in harness.sweep(lambda: cards.settle_set_up(work(world), set_up)):
        world.advance(hours=25)
        cards.settle_set_up(work(world), set_up)
        assert ([each.card_id for each in list_cards(EVERYTHING, north)], active(north)) == ([card], card), (
            run
        )
        assert len(descriptions(north)) == 2


@pytest.mark.races
def test_first_cards_that_come_at_once_make_one_active(
    world: World, stripe: FakeStripe, north: Node, harness: Harness
) -> None:
    set_ups = [begin(world, north) for _ in range(4)]
    for set_up in set_ups:
        stripe.complete(set_up)
    start = harness.snapshot()
    for seed in range(10):
        together = [lambda it=it: cards.settle_set_up(work(world), it) for it in set_ups * 2]
        for outcome in harness.run_together(together, seed=seed):
            outcome.get()
        found = [card.card_id for card in list_cards(EVERYTHING, north)]
        assert (len(found), active(north) in found) == (4, True)
        assert sum("to which" in each for each in descriptions(north)) == 1
        harness.restore(start)
