from typing import Any

from tests.builders import a_distributor
from tests.world import OPERATOR, World, administrator


def listed(world: World, **query: str) -> list[Any]:
    answer = world.call("operators.list_distributors", OPERATOR, query=query or None)
    assert answer.status == 200, answer.text
    return [row["name"] for row in answer.json["items"]]


def test_distributors_are_listed_searched_chosen_and_sorted(world: World) -> None:
    a_distributor(world, "z@example.com", name="Öst Distribution")
    world.advance(days=1)
    a_distributor(world, "b@example.com", name="West Distribution", business="direct_partner")
    world.advance(days=1)
    a_distributor(world, "c@example.com", name="North Distribution")
    assert listed(world) == ["North Distribution", "Öst Distribution", "West Distribution"]
    assert listed(world, sort="-created") == ["North Distribution", "West Distribution", "Öst Distribution"]
    assert listed(world, sort="email") == ["West Distribution", "North Distribution", "Öst Distribution"]
    assert listed(world, search="ost dis") == ["Öst Distribution"]
    assert listed(world, business="direct_partner") == ["West Distribution"]
    assert listed(world, limit="2", sort="-name") == ["West Distribution", "Öst Distribution"]


def test_a_row_tells_what_an_operator_looks_for(world: World) -> None:
    distributor = a_distributor(world)
    [row] = world.call("operators.list_distributors", OPERATOR).json["items"]
    assert row == {
        "distributor_id": distributor.distributor,
        "name": "North Distribution",
        "email": "office@north.example.com",
        "country": "Luxembourg",
        "business": "distributor",
        "currency": "USD",
        "billing_method": None,
        "created_at": "2023-01-10T12:00:00Z",
    }


def test_only_operators_list_distributors(world: World) -> None:
    assert world.call("operators.list_distributors", administrator(a_distributor(world))).status == 403
