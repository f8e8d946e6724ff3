from datetime import date

from tests import books
from tests.world import OPERATOR, World, administrator


def test_before_they_are_given_it_tells_what_is_known(world: World) -> None:
    distributor = books.a_payer(date(2023, 1, 10))
    answer = world.call("billing.get_payment_details", administrator(distributor))
    known = {name: value for name, value in answer.json.items() if value is not None}
    assert known == {
        "complete": False,
        "currency": "USD",
        "payment_day": 24,
        "billing_email": "office@north.example.com",
        "company": "North Distribution",
        "country": "Luxembourg",
        "delivery": "attachment",
    }


def test_only_the_distributor_sees_them(world: World) -> None:
    distributor = books.a_payer(date(2023, 1, 10))
    for caller in (OPERATOR, administrator(distributor.child("prt_1"))):
        assert world.call("billing.get_payment_details", caller).code == "not_permitted"
