from datetime import date

from tests import books
from tests.world import OPERATOR, World, administrator


def test_it_tells_how_and_when_the_distributor_pays(world: World) -> None:
    distributor = books.a_payer(date(2023, 1, 1))
    answer = world.call("billing.get_billing_method", administrator(distributor))
    assert answer.json == {
        "method": "invoice",
        "currency": "USD",
        "payment_day": 24,
        "credit_balance": {"amount": "0.00", "minor": 0, "currency": "USD"},
    }


def test_partners_customers_and_operators_have_none(world: World) -> None:
    distributor = books.a_payer(date(2023, 1, 1))
    for portal in (distributor.child("prt_1"), books.node_of(distributor)):
        assert world.call("billing.get_billing_method", administrator(portal)).code == "not_permitted"
    assert world.call("billing.get_billing_method", OPERATOR).code == "not_permitted"
