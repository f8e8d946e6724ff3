from typing import Any

from portal.access import access_parts
from portal.adapters import files
from portal.permissions import HELD_ON
from portal.scope import Caller
from portal.tree import Node, Tier
from tests import books
from tests.portal.billing.bill_samples import texts_of
from tests.world import OPERATOR, Answer, World, administrator


def pay(world: World, reference: str = "10001", **body: Any) -> str:
    """The payment's id."""
    given = {"amount": "1.00", "currency": "USD", "received_on": "2023-01-24", **body}
    answer = world.call("operators.record_payment", OPERATOR, path={"reference": reference}, body=given)
    assert answer.status == 201, answer.text
    return str(answer.json["payment_id"])


def receipt(world: World, as_: Caller, payment_id: str, reference: str = "10001") -> Answer:
    path = {"reference": reference, "payment_id": payment_id}
    return world.call("billing.get_receipt", as_, path=path)


def test_it_leads_to_what_was_frozen_when_the_payment_was_recorded(world: World, north: Node) -> None:
    first = pay(world)
    pay(world, amount="50.00", excess="keep")

    answer = receipt(world, administrator(north), first)

    assert (answer.status, answer.headers["Location"]) == (302, answer.json["url"])
    kept = files.read("bills/dst_north/receipt-10001-1.pdf")
    [page] = texts_of(kept)
    for said in (
        "Receipt 10001-1",
        "North Distribution",
        "1.00 USD",
        "9.53 USD is still owed on bill 10001. Thank you.",
    ):
        assert said in page, page
    world.advance(days=40)
    assert receipt(world, administrator(north), first).status == 302
    assert files.read("bills/dst_north/receipt-10001-1.pdf") == kept


def test_an_invoices_receipt_is_seen_by_who_sees_its_account(world: World, north: Node) -> None:
    consolidated, annual = pay(world), pay(world, "10002")
    books.store(access_parts(north, "usr_limited", ["acc_000003"]))
    limited = Caller(
        kind="user", user_id="usr_limited", home=north, portal=north,
        permissions=HELD_ON[Tier.DISTRIBUTOR], limited=True,
    )  # fmt: skip
    assert receipt(world, limited, annual, "10002").status == 302
    assert receipt(world, limited, consolidated).code == "not_found"
    path = {"reference": "10001"}
    assert world.call("billing.list_payments", limited, path=path).code == "not_found"


def test_a_payment_is_found_under_its_own_bill_only(world: World, north: Node) -> None:
    payment_id = pay(world)
    south = books.a_payer(world.now.date(), "south")
    assert receipt(world, administrator(north), payment_id, "10002").code == "not_found"
    assert receipt(world, administrator(north), "pay_none").code == "not_found"
    assert receipt(world, administrator(south), payment_id).code == "not_found"
    for caller in (OPERATOR, administrator(north.child("prt_1"))):
        assert receipt(world, caller, payment_id).code == "not_permitted"
