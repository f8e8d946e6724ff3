import csv
import io
from typing import Any

from portal.adapters import files
from portal.tree import Node
from tests import books
from tests.world import OPERATOR, Answer, World, administrator


def get_statement(world: World, distributor: Node, partner_id: str, reference: str = "10001") -> Answer:
    path = {"reference": reference, "partner_id": partner_id}
    return world.call("billing.get_statement", administrator(distributor), path=path)


def rows(key: str) -> list[dict[str, Any]]:
    text = files.read(key).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_it_holds_the_lines_of_one_partner(world: World, north: Node) -> None:
    answer = get_statement(world, north, "direct")
    assert (answer.status, answer.headers["Location"]) == (302, answer.json["url"])
    [row] = rows("bills/dst_north/10001-direct.csv")
    assert (row["Partner"], row["Account"], row["Amount"]) == ("Direct accounts", "Customer 1", "7.20")

    partners = world.call("partners.list_partners", administrator(north)).json["items"]
    partner_id = partners[1]["id"]
    assert get_statement(world, north, partner_id).status == 302
    [row] = rows(f"bills/dst_north/10001-{partner_id}.csv")
    assert (row["Partner"], row["Partner ID"], row["Amount"]) == ("Jacob Anderson", "DDEVR002", "1.80")


def test_who_is_not_on_the_bill_has_no_statement(world: World, north: Node) -> None:
    for partner_id in ("prt_never", "direct|", "10001"):
        assert get_statement(world, north, partner_id).code == "not_found"


def test_an_annual_invoice_has_none(world: World, north: Node) -> None:
    assert get_statement(world, north, "direct", "10002").code == "only_consolidated_bills"


def test_other_distributors_bills_do_not_exist(world: World, north: Node) -> None:
    south = books.a_payer(world.now.date(), "south")
    assert get_statement(world, south, "direct").code == "not_found"
    for caller in (OPERATOR, administrator(north.child("prt_1"))):
        answer = world.call(
            "billing.get_statement", caller, path={"reference": "10001", "partner_id": "direct"}
        )
        assert answer.code == "not_permitted"
