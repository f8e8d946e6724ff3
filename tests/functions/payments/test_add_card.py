from dataclasses import replace
from datetime import date

import pytest

from portal import keys
from portal.change import Change
from portal.distributors.records import Distributor
from portal.journal import AuditEntry
from portal.payments import provider
from portal.payments.records import find_customer, find_payer
from portal.scope import EVERYTHING
from portal.settings import settings
from portal.table import Update, find, query, stage, write
from portal.tree import Node
from tests import books
from tests.support import FakeStripe, Fault, Harness
from tests.world import Answer, World, administrator


@pytest.fixture
def north(world: World) -> Node:
    return books.a_payer(date(2023, 1, 1))


def add_card(world: World, distributor: Node, key: str = "") -> Answer:
    headers = {"Idempotency-Key": key} if key else None
    return world.call("payments.add_card", administrator(distributor), headers=headers)


def customer_of(distributor: Node) -> str:
    payer = find_payer(EVERYTHING, distributor)
    assert payer is not None
    customer_id: str = payer.customer_id
    return customer_id


def test_it_answers_what_the_browser_needs_to_hand_a_card_to_the_provider(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    answer = add_card(world, north)
    [set_up] = stripe.all("setup_intent")
    assert (answer.status, answer.json) == (
        201,
        {
            "set_up_id": set_up["id"],
            "client_secret": set_up["client_secret"],
            "publishable_key": "pk_test_portal",
        },
    )
    assert set_up["metadata"] == {"distributor_id": "dst_north"}
    [customer] = stripe.all("customer")
    assert (customer["name"], customer["email"]) == ("North Distribution", "office@north.example.com")
    assert set_up["customer"] == customer["id"] == customer_of(north)
    assert find_customer(customer["id"]).distributor_id == "dst_north"
    [entry] = query(AuditEntry, keys.node(north), "AUDIT#")
    assert entry.description == "Began to add a card"
    assert world.call("payments.list_cards", administrator(north)).json["items"] == []


def test_a_distributor_is_one_customer_however_many_cards_it_adds(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    first, second = add_card(world, north), add_card(world, north)
    world.advance(hours=25)
    third = add_card(world, north)
    assert len(stripe.all("customer")) == 1
    assert len({answer.json["set_up_id"] for answer in (first, second, third)}) == 3
    assert add_card(world, books.a_payer(date(2023, 1, 1), "south")).status == 201
    assert len(stripe.all("customer")) == 2


def test_an_idempotency_key_brings_the_same_set_up_intent_and_no_secret_is_kept(
    world: World, stripe: FakeStripe, north: Node
) -> None:
    first, again, other = (
        add_card(world, north, "a"),
        add_card(world, north, "a"),
        add_card(world, north, "b"),
    )
    assert first.json == again.json != other.json
    assert len(stripe.all("setup_intent")) == 2
    items = str(world.clock) + str([each.to_simple_dict() for each in query(AuditEntry, keys.node(north))])
    assert first.json["client_secret"] not in items
    assert add_card(world, north, "x" * 256).code == "invalid"


def test_one_portal_that_nobody_introduced_to_a_provider_offers_no_cards(
    world: World, stripe: FakeStripe, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "settings", replace(settings, stripe_publishable_key=""))
    answer = add_card(world, north)
    assert (answer.status, answer.code) == (409, "card_payments_unavailable")
    assert stripe.all("customer") == []


def test_when_the_provider_is_in_trouble_nothing_is_half_done(
    world: World, stripe: FakeStripe, north: Node, harness: Harness
) -> None:
    start = harness.items()
    stripe.answer_next(500)
    answer = add_card(world, north)
    assert (answer.status, answer.code) == (503, "payment_provider_unavailable")
    assert answer.headers["Retry-After"] == "60"
    assert harness.items() == start
    harness.fail(1, Fault.TIMEOUT_AFTER, lambda call: call.service == "http")
    assert add_card(world, north).status == 503
    assert harness.items() == start
    assert add_card(world, north).status == 201
    assert len(stripe.all("customer")) == 1
    stripe.answer_next(401)
    assert add_card(world, north).code == "payment_provider_unavailable"
    stripe.answer_next(404)
    assert add_card(world, north).code == "payment_provider_refused"


@pytest.mark.money
def test_a_crash_anywhere_leaves_one_customer_that_is_used(
    world: World, stripe: FakeStripe, north: Node, harness: Harness
) -> None:
    # A process that has read its secrets.
    add_card(world, books.a_payer(date(2023, 1, 1), "south"))
    runs, begun_before = 0, len(stripe.all("setup_intent"))
    for hours in (0.02, 25):
        for _ in harness.sweep(lambda: add_card(world, north)):
            world.advance(hours=hours)
            distributor = find(Distributor, keys.node(north), keys.NODE)
            assert distributor is not None
            # Renamed meanwhile: what was asked for before is not asked for alike.
            write([stage(Update(distributor, Change(name="Farther North")))])
            answer = add_card(world, north)
            assert answer.status == 201
            used = {each["customer"] for each in stripe.all("setup_intent")[begun_before:]}
            assert used == {customer_of(north)}
            runs += 1
    assert runs > 20


@pytest.mark.races
def test_whoever_adds_the_first_cards_at_once_is_one_customer(
    world: World, stripe: FakeStripe, north: Node, harness: Harness
) -> None:
    for _, outcomes in harness.rounds(8, lambda: add_card(world, north), seeds=range(4)):
        assert {outcome.get().status for outcome in outcomes} == {201}
        assert {each["customer"] for each in stripe.all("setup_intent")} == {customer_of(north)}
