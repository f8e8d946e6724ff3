from datetime import date

from portal.tree import Node
from tests import books, payers
from tests.support import FakeStripe
from tests.world import OPERATOR, World, administrator


def list_cards(world: World, distributor: Node):
    return world.call("payments.list_cards", administrator(distributor))


def test_it_shows_by_what_a_card_is_recognized_and_which_one_is_charged(
    world: World, stripe: FakeStripe
) -> None:
    north = books.a_payer(date(2023, 1, 1))
    assert list_cards(world, north).json["items"] == []
    first = payers.a_card(world, stripe, north)
    world.advance(minutes=1)
    second = payers.a_card(world, stripe, north, active=False)
    answer = list_cards(world, north)
    assert answer.status == 200
    assert answer.json["items"] == [
        {"card_id": first, "active": True, "expired": False, **LOOKS},
        {"card_id": second, "active": False, "expired": False, **LOOKS},
    ]
    assert stripe.all("setup_intent") == []


LOOKS = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030}


def test_a_card_is_good_to_the_end_of_its_month(world: World, stripe: FakeStripe) -> None:
    north = books.a_payer(date(2023, 1, 1))
    payers.a_card(world, stripe, north)
    for now, expired in (("2030-12-31T23:59:59+00:00", False), ("2031-01-01T00:00:00+00:00", True)):
        world.clock.set(now)
        assert [each["expired"] for each in list_cards(world, north).json["items"]] == [expired]


def test_nobody_else_sees_them(world: World, stripe: FakeStripe) -> None:
    north, south = books.a_payer(date(2023, 1, 1)), books.a_payer(date(2023, 1, 1), "south")
    payers.a_card(world, stripe, north)
    assert list_cards(world, south).json["items"] == []
    for caller in (OPERATOR, administrator(north.child("prt_1")), administrator(books.node_of(north))):
        assert world.call("payments.list_cards", caller).code == "not_permitted"
