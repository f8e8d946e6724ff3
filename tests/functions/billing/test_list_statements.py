from portal.tree import Node
from tests import books
from tests.world import OPERATOR, World, administrator


def list_statements(world: World, distributor: Node, reference: str = "10001"):
    return world.call("billing.list_statements", administrator(distributor), path={"reference": reference})


def test_it_says_what_each_partner_cost_and_sums_to_the_bill(world: World, north: Node) -> None:
    items = list_statements(world, north).json["items"]
    assert [(row["partner_name"], row["partner_code"], row["accounts"]) for row in items] == [
        ("Direct accounts", "", 1),
        ("Jacob Anderson", "DDEVR002", 1),
    ]
    assert [row["net"]["amount"] for row in items] == ["7.20", "1.80"]
    history = world.call("billing.list_billing_history", administrator(north), query={"kind": "monthly"})
    [bill] = history.json["items"]
    assert sum(row["total"]["minor"] for row in items) == bill["amount"]["minor"]


def test_an_annual_invoice_has_none(world: World, north: Node) -> None:
    answer = list_statements(world, north, "10002")
    assert (answer.status, answer.code) == (409, "only_consolidated_bills")


def test_other_distributors_bills_do_not_exist(world: World, north: Node) -> None:
    assert list_statements(world, books.a_payer(world.now.date(), "south")).code == "not_found"
    for caller in (OPERATOR, administrator(north.child("prt_1"))):
        assert (
            world.call("billing.list_statements", caller, path={"reference": "10001"}).code == "not_permitted"
        )
