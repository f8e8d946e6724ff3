from portal.tree import Node
from tests import books
from tests.world import OPERATOR, World, administrator


def test_it_tells_what_was_taken_off_the_bill(world: World, north: Node) -> None:
    for amount in ("1.00", "2.00"):
        body = {"reason": "Goodwill", "amount": amount, "currency": "USD"}
        answer = world.call("operators.create_credit_note", OPERATOR, path={"reference": "10001"}, body=body)
        assert answer.status == 201, answer.text
    answer = world.call("billing.list_credit_notes", administrator(north), path={"reference": "10001"})
    assert [(row["reference"], row["amount"]["amount"]) for row in answer.json["items"]] == [
        ("CN-10001", "1.00"),
        ("CN-10002", "2.00"),
    ]
    none = world.call("billing.list_credit_notes", administrator(north), path={"reference": "10002"})
    assert none.json["items"] == []


def test_other_distributors_bills_do_not_exist(world: World, north: Node) -> None:
    south = books.a_payer(world.now.date(), "south")
    path = {"reference": "10001"}
    assert world.call("billing.list_credit_notes", administrator(south), path=path).code == "not_found"
    for caller in (OPERATOR, administrator(north.child("prt_1"))):
        assert world.call("billing.list_credit_notes", caller, path=path).code == "not_permitted"
