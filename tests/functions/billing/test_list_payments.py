from typing import Any

from portal.tree import Node
from tests import books
from tests.world import OPERATOR, World, administrator


def pay(world: World, amount: str, reference: str = "10001", **body: Any) -> None:
    given = {"amount": amount, "currency": "USD", "received_on": "2023-01-24", "note": "Ours", **body}
    answer = world.call("operators.record_payment", OPERATOR, path={"reference": reference}, body=given)
    assert answer.status == 201, answer.text


def listed(world: World, distributor: Node, reference: str = "10001", **query: str) -> Any:
    path = {"reference": reference}
    answer = world.call("billing.list_payments", administrator(distributor), path=path, query=query)
    assert answer.status == 200, answer.text
    return answer.json


def test_every_payment_says_what_it_left_owing(world: World, north: Node) -> None:
    assert listed(world, north)["items"] == []
    for amount in ("1.00", "2.00", "90.00"):
        pay(world, amount, excess="keep")
    shown = listed(world, north)
    assert [
        (row["receipt"], row["amount"]["amount"], row["outstanding"]["amount"], row["excess"]["amount"])
        for row in shown["items"]
    ] == [
        ("10001-1", "1.00", "9.53", "0.00"),
        ("10001-2", "2.00", "7.53", "0.00"),
        ("10001-3", "90.00", "0.00", "82.47"),
    ]
    assert shown["total"] == 3
    (first, *_) = shown["items"]
    assert (first["paid_by"], first["received_on"]) == ("bank_transfer", "2023-01-24")
    # What operators note is their own.
    assert "Ours" not in str(shown)
    assert [row["receipt"] for row in listed(world, north, limit="1")["items"]] == ["10001-1"]


def test_the_eleventh_comes_after_the_second(world: World, north: Node) -> None:
    for _ in range(11):
        pay(world, "0.01")
    assert [row["receipt"] for row in listed(world, north)["items"]][-2:] == ["10001-10", "10001-11"]


def test_other_distributors_bills_do_not_exist(world: World, north: Node) -> None:
    pay(world, "1.00")
    south, path = books.a_payer(world.now.date(), "south"), {"reference": "10001"}
    assert world.call("billing.list_payments", administrator(south), path=path).code == "not_found"
    for caller in (OPERATOR, administrator(north.child("prt_1"))):
        assert world.call("billing.list_payments", caller, path=path).code == "not_permitted"
