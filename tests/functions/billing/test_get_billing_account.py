from datetime import UTC, date, datetime
from typing import Any

from portal.tree import Node
from tests import books
from tests.builders import a_partner
from tests.world import OPERATOR, World, administrator


def summary(world: World, distributor: Node, number: int = 1) -> Any:
    path = {"account_id": f"acc_{number:06d}"}
    answer = world.call("billing.get_billing_account", administrator(distributor), path=path)
    assert answer.status == 200, answer.text
    return answer.json


def billed(world: World) -> Node:
    """Two accounts with 4 mailboxes and 1, whose bill of 24 January 2023 is open: 9.00 and 1.53 of tax."""
    distributor = books.a_payer(date(2022, 12, 24))
    for number, counts in ((1, 4), (2, 1)):
        books.store(books.an_account(distributor, number, counts=counts))
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    return distributor


def test_it_shows_what_is_owed_on_which_bills_and_what_comes_next(world: World) -> None:
    shown = summary(world, billed(world))
    assert (shown["billing_status"], shown["subscription"], shown["subscribed_on"]) == (
        "due",
        "monthly",
        "2022-06-01",
    )
    assert (shown["renewal_date"], shown["amount_due"]["amount"], shown["last_paid"]) == (
        "2023-02-01",
        "8.42",
        None,
    )
    assert shown["next_payment_forecast"]["amount"] == "7.20"
    (bill,) = shown["open_bills"]
    assert (bill["reference"], bill["kind"], bill["state"]) == ("10001", "monthly", "issued")
    assert (bill["issue_date"], bill["due_date"], bill["owed"]["amount"]) == (
        "2023-01-24",
        "2023-02-23",
        "8.42",
    )
    (line,) = bill["lines"]
    assert (line["service"], line["quantity"], line["amount"]["amount"]) == (books.EXCHANGE, "4", "7.20")
    assert (line["unit_price"]["amount"], line["discount"], line["days"]) == ("3.00", "0.4", 31)


def test_it_shows_what_each_service_costs(world: World) -> None:
    shown = summary(world, billed(world))
    assert shown["prices"] == [
        {
            "service": service,
            "monthly": monthly,
            "annual": annual,
            "discount": "0.4",
            "currency": "USD",
            "has_tiers": False,
        }
        for service, monthly, annual in (
            (books.EXCHANGE, "3.00", "30.00"),
            (books.SALESFORCE, "2.05", "20.50"),
        )
    ]


def test_a_part_that_is_paid_is_taken_off_each_account_and_the_rest_adds_up(world: World) -> None:
    distributor = billed(world)
    path = {"reference": "10001"}
    transfer = {"amount": "5.00", "currency": "USD", "received_on": "2023-01-24"}
    assert world.call("operators.record_payment", OPERATOR, path=path, body=transfer).status == 201
    owed = [summary(world, distributor, number)["amount_due"]["minor"] for number in (1, 2)]
    assert sum(owed) == 1053 - 500
    assert owed == [442, 111]


def test_a_paid_bill_shows_as_last_paid(world: World) -> None:
    distributor = billed(world)
    transfer = {"amount": "10.53", "currency": "USD", "received_on": "2023-01-24"}
    assert (
        world.call("operators.record_payment", OPERATOR, path={"reference": "10001"}, body=transfer).status
        == 201
    )
    books_of = summary(world, distributor, 2)
    assert (books_of["amount_due"], books_of["open_bills"]) == (None, [])
    assert books_of["last_paid"]["amount"] == "2.11"


def test_an_annual_account_shows_its_invoice_with_its_line(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24))
    books.store(books.an_account(distributor, counts=10, plan="annual", subscribed_on=date(2023, 1, 9)))
    books.run_year(world)
    shown = summary(world, distributor)
    assert (shown["subscription"], shown["renewal_date"], shown["billing_status"]) == (
        "annual",
        "2024-01-09",
        "due",
    )
    assert [line["kind"] for bill in shown["open_bills"] for line in bill["lines"]] == ["annual"]
    assert (shown["amount_due"]["amount"], shown["next_payment_forecast"]["amount"]) == ("210.60", "180.00")
    assert shown["next_payment_forecast"]["method"] == "renewal"


def test_a_partners_account_names_its_partner(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24))
    partner = a_partner(world, distributor, name="Jacob Anderson")
    books.store(books.an_account(distributor, partner=partner.partner))
    assert summary(world, distributor)["partner_name"] == "Jacob Anderson"


def test_another_distributors_account_does_not_exist_and_partners_see_no_billing(world: World) -> None:
    north, south = billed(world), books.a_payer(date(2022, 12, 24), "south")
    path = {"account_id": "acc_000001"}
    assert world.call("billing.get_billing_account", administrator(south), path=path).code == "not_found"
    for portal in (north.child("prt_1"), books.node_of(north)):
        answer = world.call("billing.get_billing_account", administrator(portal), path=path)
        assert answer.code == "not_permitted"
