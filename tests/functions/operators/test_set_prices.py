from datetime import date
from typing import Any

import pytest

from portal import keys
from portal.billing.records import list_price_books
from portal.distributors.records import get_distributor
from portal.journal import AuditEntry
from portal.scope import EVERYTHING
from portal.table import query
from portal.tree import VENDOR, Node
from tests import books
from tests.portal.billing.test_details import FORM
from tests.support import Harness
from tests.world import OPERATOR, Answer, World, administrator

TODAY = "2023-01-10"


def terms(price: str = "4.00", **values: Any) -> dict[str, Any]:
    service = {"monthly": price, "annual": "40.00"}
    return {"currency": "USD", "effective_on": "2023-02-01", "services": {books.EXCHANGE: service}, **values}


def put(world: World, distributor: Node, **values: Any) -> Answer:
    path = {"distributor_id": distributor.distributor}
    return world.call("operators.set_prices", OPERATOR, path=path, body=terms(**values))


def versions(world: World, distributor: Node) -> dict[str, str]:
    """The monthly price by effective date, as the distributor sees it."""
    shown = world.call("billing.get_prices", administrator(distributor)).json
    known = [*filter(None, [shown["in_effect"]]), *shown["upcoming"]]
    return {each["effective_on"]: each["services"][books.EXCHANGE]["monthly"] for each in known}


def test_new_prices_are_a_new_version_and_the_one_in_effect_stays(world: World) -> None:
    distributor = books.a_payer(date(2022, 11, 24))
    answer = put(world, distributor, discount="0.25")
    assert (answer.status, answer.json["effective_on"], answer.json["discount"]) == (
        200,
        "2023-02-01",
        "0.25",
    )
    assert versions(world, distributor) == {"2022-11-24": "3.00", "2023-02-01": "4.00"}


def test_first_prices_from_today_on_are_in_effect_at_once(world: World) -> None:
    distributor = books.a_payer(date(2022, 11, 24), prices=None)
    assert put(world, distributor, effective_on=TODAY).status == 200
    assert versions(world, distributor) == {TODAY: "4.00"}


def test_prices_that_are_not_in_effect_yet_can_be_replaced(world: World) -> None:
    distributor = books.a_payer(date(2022, 11, 24))
    put(world, distributor)
    assert put(world, distributor, price="5.00").status == 200
    assert versions(world, distributor) == {"2022-11-24": "3.00", "2023-02-01": "5.00"}


def test_prices_in_effect_are_never_replaced(world: World) -> None:
    distributor = books.a_payer(date(2022, 11, 24), prices=None)
    put(world, distributor, effective_on=TODAY)
    answer = put(world, distributor, price="5.00", effective_on=TODAY)
    assert (answer.status, answer.code) == (409, "already_in_effect")
    assert versions(world, distributor) == {TODAY: "4.00"}


def test_nothing_is_repriced_afterwards(world: World) -> None:
    distributor = books.a_payer(date(2022, 11, 24))
    for on in ("2023-01-09", TODAY):
        answer = put(world, distributor, effective_on=on)
        assert (answer.status, answer.code) == (400, "effective_in_the_past")
        assert answer.json["errors"][0]["field"] == "effective_on"


def test_a_distributors_first_prices_may_hold_from_its_first_period_on(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24), prices=None)
    assert put(world, distributor, effective_on="2022-12-23").code == "effective_in_the_past"
    assert put(world, distributor, effective_on="2022-12-24").status == 200
    assert put(world, distributor, effective_on="2022-12-25").code == "effective_in_the_past"


def test_the_currency_is_the_distributors(world: World) -> None:
    answer = put(world, books.a_payer(date(2022, 11, 24)), currency="EUR")
    assert (answer.status, answer.code) == (400, "wrong_currency")


@pytest.mark.parametrize(
    "wrong",
    [
        {"currency": "XXX"},
        {"discount": "1.5"},
        {"discount": 0.4},
        {"effective_on": "soon"},
        {"services": {"teapots": {"monthly": "1.00", "annual": "1.00"}}},
        {"services": {books.EXCHANGE: {"monthly": "-1.00", "annual": "1.00"}}},
        {"services": {books.EXCHANGE: {"monthly": "1.005", "annual": "1.00"}}},
        {"services": {books.EXCHANGE: {"monthly": "1.00"}}},
        {"services": {books.EXCHANGE: {"monthly": "1.00", "annual": "1.00", "quantity": "lowest"}}},
        {
            "services": {
                books.EXCHANGE: {
                    "monthly": "1.00",
                    "annual": "1.00",
                    "tiers": [{"minimum": 10, "monthly": "1.00", "annual": "1.00"}] * 2,
                }
            }
        },
        {"colour": "red"},
    ],
)
def test_terms_that_cannot_be_rated_are_refused(world: World, wrong: dict[str, Any]) -> None:
    distributor = books.a_payer(date(2022, 11, 24))
    answer = put(world, distributor, **wrong)
    assert (answer.status, answer.code) == (400, "invalid")
    assert versions(world, distributor) == {"2022-11-24": "3.00"}


def test_both_sides_find_it_in_their_audit_trail(world: World) -> None:
    distributor = books.a_payer(date(2022, 11, 24))
    put(world, distributor)
    for node in (VENDOR, distributor):
        (entry,) = query(AuditEntry, keys.node(node), "AUDIT#")
        assert (entry.activity, entry.performed_by) == ("billing details updated", "operator@example.com")
        assert entry.description == "Set the prices of North Distribution from 2023-02-01 on"


def test_only_operators_set_prices_and_only_of_distributors_there_are(world: World) -> None:
    distributor = books.a_payer(date(2022, 11, 24))
    path = {"distributor_id": distributor.distributor}
    answer = world.call("operators.set_prices", administrator(distributor), path=path, body=terms())
    assert answer.code == "not_permitted"
    assert put(world, Node("dst_nobody")).code == "not_found"


def test_prices_and_the_currency_are_never_at_odds(world: World, harness: Harness) -> None:
    """Whichever is written while the other is being decided."""
    distributor = books.a_payer(date(2023, 1, 10), prices=None)

    def details() -> Answer:
        body = FORM | {"currency": "EUR", "payment_day": 24}
        return world.call("billing.set_payment_details", administrator(distributor), body=body)

    start, seen = harness.snapshot(), set()
    for seed in range(16):
        outcomes = harness.run_together([details, lambda: put(world, distributor)], seed=seed)
        statuses = [outcome.result.status for outcome in outcomes]
        currency = get_distributor(EVERYTHING, distributor.distributor).currency
        priced = [each.prices["currency"] for each in list_price_books(EVERYTHING, distributor)]
        seen.add((*statuses, currency, *priced))
        harness.restore(start)
    assert seen == {(200, 400, "EUR"), (409, 200, "USD", "USD")}
