from datetime import date

from tests import books
from tests.world import OPERATOR, World, administrator


def test_it_shows_what_is_in_effect_today_and_what_is_coming(world: World) -> None:
    distributor = books.a_payer(date(2022, 11, 24))
    later = {"currency": "USD", "services": {books.EXCHANGE: {"monthly": "4.00", "annual": "40.00"}}}
    books.store([books.priced(distributor, date(2023, 1, 10), books.PRICES)])
    books.store([books.priced(distributor, date(2023, 1, 11), later)])
    shown = world.call("billing.get_prices", administrator(distributor)).json
    assert shown["in_effect"]["effective_on"] == "2023-01-10"
    assert shown["in_effect"]["discount"] == "0.4"
    assert shown["in_effect"]["services"][books.EXCHANGE] == {
        "monthly": "3.00",
        "annual": "30.00",
        "tiers": [],
        "quantity": "peak",
        "weights": {},
    }
    assert [each["effective_on"] for each in shown["upcoming"]] == ["2023-01-11"]
    assert shown["upcoming"][0]["services"][books.EXCHANGE]["monthly"] == "4.00"


def test_without_prices_there_are_none(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24), prices=None)
    answer = world.call("billing.get_prices", administrator(distributor))
    assert answer.json == {"in_effect": None, "upcoming": []}


def test_nobody_else_sees_them(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24))
    for caller in (
        OPERATOR,
        administrator(distributor.child("prt_1")),
        administrator(books.node_of(distributor)),
    ):
        assert world.call("billing.get_prices", caller).code == "not_permitted"
