from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal.access import access_parts
from portal.permissions import HELD_ON
from portal.scope import Caller
from portal.tree import Node, Tier
from tests import books
from tests.books import EXCHANGE, SALESFORCE
from tests.builders import a_partner
from tests.world import OPERATOR, World, administrator

TWO_A_SEAT = {"currency": "USD", "services": {EXCHANGE: {"monthly": "2.00", "annual": "20.00"}}}
FROM_2023 = {
    "currency": "USD",
    "discount": "0.4",
    "services": {EXCHANGE: {"monthly": "3.00", "annual": "34.00"}},
}


def named(name: str, distributor: Node, number: int, **values: Any) -> list[Any]:
    records = books.an_account(distributor, number, **values)
    records[0].name = name
    return records


def rows(world: World, distributor: Node, as_: Caller | None = None, **query: str) -> list[dict[str, Any]]:
    answer = world.call("billing.list_billing_status", as_ or administrator(distributor), query=query or None)
    assert answer.status == 200, answer.text
    listed: list[dict[str, Any]] = answer.json["items"]
    return listed


def of(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row as the billing page shows it."""
    due, forecast = row["amount_due"], row["next_payment_forecast"]
    return (
        row["account_name"], row["billing_status"], row["subscription"], row["renewal_date"],
        due and due["amount"], forecast and forecast["amount"],
    )  # fmt: skip


def unpaid_since(world: World, begin: date, months: int) -> Node:
    """Who has paid none of its bills at 2.00 a seat; from 24 January 2023 on a seat is 1.80."""
    world.now = books.midnight(begin)
    distributor = books.a_payer(begin, prices=TWO_A_SEAT)
    books.store(named("Moby Dick", distributor, 1, counts=4, subscribed_on=begin))
    books.store(named("Madame Bovary", distributor, 2, counts=1, subscribed_on=begin))
    for month in range(begin.month, begin.month + months):
        world.now = datetime(begin.year + month // 12, month % 12 + 1, 24, 3, tzinfo=UTC)
        books.run_month(world)
    world.now = datetime(2023, 1, 23, 12, tzinfo=UTC)
    prices = {**FROM_2023, "effective_on": "2023-01-24"}
    path = {"distributor_id": distributor.distributor}
    assert world.call("operators.set_prices", OPERATOR, path=path, body=prices).status == 200
    world.now = datetime(2023, 2, 10, 12, tzinfo=UTC)
    return distributor


@pytest.fixture
def north(world: World) -> Node:
    """One bill of 24 December is unpaid on 10 February."""
    return unpaid_since(world, date(2022, 11, 24), 1)


def test_a_year_of_unpaid_bills_is_due_with_its_tax_and_the_next_one_is_forecast_at_the_new_price(
    world: World,
) -> None:
    north = unpaid_since(world, date(2022, 1, 24), 12)
    since = date(2023, 1, 23)
    books.store(named("Alex Douglas", north, 3, counts=98, subscribed_on=since))
    books.store(named("Bob Smith", north, 4, counts={}, subscribed_on=since))
    books.store(
        named(
            "Agata Brown",
            north,
            5,
            counts=65,
            plan="annual",
            subscribed_on=date(2022, 8, 17),
            state="subscribed",
        )
    )
    assert [of(row) for row in rows(world, north)] == [
        ("Agata Brown", "none", "annual", "2023-08-17", None, "1326.00"),
        ("Alex Douglas", "none", "monthly", "2023-02-23", None, "176.40"),
        ("Bob Smith", "none", "monthly", "2023-02-23", None, "0.00"),
        ("Madame Bovary", "overdue", "monthly", "2023-02-24", "28.08", "1.80"),
        ("Moby Dick", "overdue", "monthly", "2023-02-24", "112.32", "7.20"),
    ]


def test_a_forecast_says_its_method_its_range_and_when_it_is_billed(world: World, north: Node) -> None:
    moby = rows(world, north, search="moby")[0]["next_payment_forecast"]
    assert (moby["method"], moby["low"]["amount"], moby["high"]["amount"]) == ("trend", "7.20", "7.20")
    assert (moby["billed_on"], moby["currency"], moby["minor"]) == ("2023-02-24", "USD", 720)


def test_an_account_whose_service_has_no_price_has_no_forecast_and_harms_nobody(
    world: World, north: Node
) -> None:
    books.store(named("Unpriced", north, 3, counts={SALESFORCE: [(date(2023, 1, 1), 5)]}))
    shown = {row["account_name"]: row["next_payment_forecast"] for row in rows(world, north)}
    assert shown["Unpriced"] is None
    assert shown["Moby Dick"]["amount"] == "7.20"


def test_accounts_of_partners_are_listed_with_their_partner(world: World, north: Node) -> None:
    partner = a_partner(world, north, name="Jacob Anderson")
    books.store(named("Rosy White", north, 7, partner=partner.partner))
    rosy, moby = rows(world, north, search="rosy")[0], rows(world, north, search="moby")[0]
    assert (rosy["partner_id"], rosy["partner_name"]) == (partner.partner, "Jacob Anderson")
    assert (moby["partner_id"], moby["partner_name"]) == ("direct", None)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"search": "bov"}, ["Madame Bovary"]),
        ({"billing_status": "overdue", "sort": "-amount_due"}, ["Moby Dick", "Madame Bovary"]),
        ({"billing_status": "trial"}, ["Try Out"]),
        ({"subscription": "trial"}, ["Try Out"]),
        ({"account_status": "annual_subscribed"}, ["Agata Brown"]),
        ({"backup_status": "failed"}, []),
        ({"sort": "renewal_date"}, ["Madame Bovary", "Moby Dick", "Agata Brown", "Try Out"]),
        ({"sort": "-subscription"}, ["Agata Brown", "Moby Dick", "Madame Bovary", "Try Out"]),
        ({"sort": "-email"}, ["Try Out", "Agata Brown", "Madame Bovary", "Moby Dick"]),
    ],
)
def test_filters_and_sorting_are_over_the_whole_list(
    world: World, north: Node, query: dict[str, str], names: list[str]
) -> None:
    books.store(named("Agata Brown", north, 3, counts=1, plan="annual", subscribed_on=date(2022, 8, 17)))
    books.store(named("Try Out", north, 4, plan=None, trial_ends_at=datetime(2023, 2, 20, tzinfo=UTC)))
    assert [row["account_name"] for row in rows(world, north, **query)] == names


def test_a_long_list_comes_in_pages_each_with_its_forecasts(world: World, north: Node) -> None:
    answer = world.call("billing.list_billing_status", administrator(north), query={"limit": "1"})
    assert (answer.json["total"], answer.json["items"][0]["account_name"]) == (2, "Madame Bovary")
    query = {"limit": "1", "cursor": answer.json["next_cursor"]}
    answer = world.call("billing.list_billing_status", administrator(north), query=query)
    assert [of(row)[0::5] for row in answer.json["items"]] == [("Moby Dick", "7.20")]
    assert answer.json["next_cursor"] is None


def test_a_trial_owes_nothing_and_forecasts_what_it_turns_into(world: World, north: Node) -> None:
    ends_at = datetime(2023, 2, 14, 12, tzinfo=UTC)
    trial = {"plan": None, "trial_ends_at": ends_at, "counts": 10}
    books.store(named("Expires", north, 3, **trial))
    turning = named("Turns monthly", north, 4, **trial)
    turning[0].subscription_default = {"mode": "trial_with_auto_subscription", "plan": "monthly"}
    books.store(turning)
    annual = named("Turns annual", north, 5, **trial)
    annual[0].subscription_default = {"mode": "trial_with_auto_subscription", "plan": "annual"}
    books.store(annual)
    shown = {row["account_name"]: row for row in rows(world, north)}
    assert of(shown["Expires"]) == ("Expires", "trial", "trial", None, None, "0.00")
    # 10 seats at 1.80 for 10 of the period's 31 days
    assert of(shown["Turns monthly"])[5] == "5.81"
    assert of(shown["Turns annual"])[5] == "204.00"


def test_of_what_a_user_may_not_access_nothing_is_shown(world: World, north: Node) -> None:
    books.store(access_parts(north, "usr_limited", ["acc_000002"]))
    limited = Caller(
        kind="user",
        user_id="usr_limited",
        home=north,
        portal=north,
        permissions=HELD_ON[Tier.DISTRIBUTOR],
        limited=True,
    )
    assert [of(row)[0::4] for row in rows(world, north, limited)] == [("Madame Bovary", "2.34")]


def test_it_is_for_distributors_with_the_permission_only(world: World, north: Node) -> None:
    partner = a_partner(world, north)
    without = Caller(kind="user", user_id="usr_1", home=north, portal=north, permissions=frozenset())
    for caller in (administrator(partner), without, OPERATOR):
        assert world.call("billing.list_billing_status", caller).code == "not_permitted"
    other = books.a_payer(date(2023, 1, 1), "south")
    assert rows(world, other) == []
