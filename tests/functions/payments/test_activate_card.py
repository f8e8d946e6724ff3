from datetime import date

from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import Node
from tests import books, payers
from tests.support import FakeStripe
from tests.world import OPERATOR, Answer, World, administrator


def activate(world: World, distributor: Node, card_id: str) -> Answer:
    caller = administrator(distributor)
    return world.call("payments.activate_card", caller, path={"card_id": card_id})


def active(world: World, distributor: Node) -> list[str]:
    shown = world.call("payments.list_cards", administrator(distributor)).json["items"]
    return [each["card_id"] for each in shown if each["active"]]


def test_one_card_is_active_and_its_change_is_audited(world: World, stripe: FakeStripe) -> None:
    north = books.a_payer(date(2023, 1, 1))
    first, second = (payers.a_card(world, stripe, north, active=not at) for at in range(2))
    assert active(world, north) == [first]
    answer = activate(world, north, second)
    assert (answer.status, answer.json["card_id"], answer.json["active"]) == (200, second, True)
    assert active(world, north) == [second]
    assert activate(world, north, second).status == 200
    [entry] = query(AuditEntry, keys.node(north), "AUDIT#")
    assert entry.description == "Bills are charged to the card visa ending in 4242"


def test_what_failed_before_is_tried_at_once(world: World, stripe: FakeStripe) -> None:
    world.clock.set("2022-12-24T03:00:00+00:00")
    north = books.a_payer(world.now.date(), billing_method="credit_card")
    books.store(books.an_account(north, 1, counts=4))
    payers.a_card(world, stripe, north, "declined")
    world.clock.set("2023-01-24T03:00:00+00:00")
    books.run_month(world)
    payers.pay(world)
    assert payers.the_charge(north).attempts == 1
    world.advance(hours=2)
    good = payers.a_card(world, stripe, north, active=False)
    activate(world, north, good)
    payers.pay(world)
    assert (books.bills(north)[-1].state, stripe.charged("10001")) == ("paid", 842)
    assert [each["payment_method"] for each in stripe.successes("10001")] == [good]


def test_anothers_card_is_not_there(world: World, stripe: FakeStripe) -> None:
    north, south = books.a_payer(date(2023, 1, 1)), books.a_payer(date(2023, 1, 1), "south")
    card, own = payers.a_card(world, stripe, north), payers.a_card(world, stripe, south)
    for wrong in (card, "pm_never"):
        assert activate(world, south, wrong).code == "not_found"
    assert active(world, south) == [own]
    for caller in (OPERATOR, administrator(north.child("prt_1"))):
        answer = world.call("payments.activate_card", caller, path={"card_id": card})
        assert answer.code == "not_permitted"
