import csv
import io

from portal.adapters import files
from portal.tree import Node
from tests import books
from tests.world import OPERATOR, World, administrator


def get_csv(world: World, distributor: Node, reference: str = "10001"):
    return world.call("billing.get_bill_csv", administrator(distributor), path={"reference": reference})


def test_it_holds_a_row_for_each_line_under_the_names_of_that_time(world: World, north: Node) -> None:
    answer = get_csv(world, north)
    assert (answer.status, answer.headers["Location"]) == (302, answer.json["url"])
    text = files.read("bills/dst_north/10001.csv").decode("utf-8-sig")
    shown = [
        [
            row[name]
            for name in ("Partner", "Partner ID", "Account", "Service", "Quantity", "Amount", "Currency")
        ]
        for row in csv.DictReader(io.StringIO(text, newline=""))
    ]
    assert shown == [
        ["Direct accounts", "", "Customer 1", "Microsoft 365 Exchange", "4", "7.20", "USD"],
        ["Jacob Anderson", "DDEVR002", "'=HYPERLINK(1)", "Microsoft 365 Exchange", "1", "1.80", "USD"],
    ]


def test_what_is_renamed_afterwards_stays_as_it_was(world: World, north: Node) -> None:
    get_csv(world, north)
    before = files.read("bills/dst_north/10001.csv")
    files.delete(["bills/dst_north/10001.csv"])
    partners = world.call("partners.list_partners", administrator(north)).json["items"]
    path = {"partner_id": partners[1]["id"]}
    answer = world.call("partners.change_partner", administrator(north), path=path, body={"name": "Renamed"})
    assert answer.status == 200, answer.text
    get_csv(world, north)
    assert files.read("bills/dst_north/10001.csv") == before


def test_an_annual_invoice_has_none(world: World, north: Node) -> None:
    answer = get_csv(world, north, "10002")
    assert (answer.status, answer.code) == (409, "only_consolidated_bills")


def test_other_distributors_bills_do_not_exist(world: World, north: Node) -> None:
    assert get_csv(world, books.a_payer(world.now.date(), "south")).code == "not_found"
    for caller in (OPERATOR, administrator(north.child("prt_1"))):
        assert world.call("billing.get_bill_csv", caller, path={"reference": "10001"}).code == "not_permitted"
