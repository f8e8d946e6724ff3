from typing import Any

import pytest

from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_email
from tests.world import World, administrator


@pytest.fixture
def distributor(world: World) -> Node:
    distributor = a_distributor(world, "office@north.example.com", administrator_name="Zoe Office")
    for name, values in (
        ("Émile Zola", {"role": "custom", "permissions": ["audit.view"]}),
        ("anna Blue", {"role": "administrator"}),
        ("Bert White", {"role": "custom", "permissions": [], "sign_in_type": "google"}),
    ):
        world.advance(minutes=1)
        email = f"{name.split()[1].lower()}@people.example.com"
        answer = world.call(
            "identity.create_user", administrator(distributor), body={"name": name, "email": email, **values}
        )
        assert answer.status == 201, answer.text
    return distributor


def listed(world: World, portal: Node, **query: str) -> list[Any]:
    answer = world.call("identity.list_users", administrator(portal), query=query)
    assert answer.status == 200, answer.text
    assert answer.json["total"] == len(answer.json["items"])
    return [row["name"] for row in answer.json["items"]]


def test_it_is_searched_filtered_and_sorted(world: World, distributor: Node) -> None:
    everybody = ["anna Blue", "Bert White", "Émile Zola", "Zoe Office"]
    assert listed(world, distributor) == everybody
    assert listed(world, distributor, sort="-name") == everybody[::-1]
    assert listed(world, distributor, sort="email") == ["anna Blue", "Zoe Office", "Bert White", "Émile Zola"]
    assert listed(world, distributor, sort="-created")[0] == "Bert White"
    assert listed(world, distributor, sort="role")[:2] == ["anna Blue", "Zoe Office"]
    assert listed(world, distributor, sort="state") == everybody
    assert listed(world, distributor, search="emile") == ["Émile Zola"]
    assert listed(world, distributor, search="people whi") == ["Bert White"]
    assert listed(world, distributor, role="custom") == ["Bert White", "Émile Zola"]
    assert listed(world, distributor, state="active") == []
    assert listed(world, distributor, state="invited", role="administrator") == ["anna Blue", "Zoe Office"]


def test_pages_follow_one_another(world: World, distributor: Node) -> None:
    seen, cursor = [], None
    while cursor != "":
        query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = world.call("identity.list_users", administrator(distributor), query=query).json
        seen += [row["email"] for row in page["items"]]
        assert page["total"] == 4
        cursor = page["next_cursor"] or ""
    assert len(seen) == len(set(seen)) == 4


def test_a_row_says_what_a_table_shows(world: World, distributor: Node) -> None:
    answer = world.call("identity.list_users", administrator(distributor), query={"search": "bert"})
    [row] = answer.json["items"]
    assert row == {
        "user_id": row["user_id"],
        "email": "white@people.example.com",
        "pending_email": None,
        "name": "Bert White",
        "sign_in_type": "google",
        "role": "custom",
        "permissions": [],
        "sees_all": True,
        "state": "invited",
        "two_factor": False,
        "created_at": "2023-01-10T12:03:00Z",
    }


def test_a_portal_lists_its_own(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor, an_email(), contact_person="Joan")
    assert listed(world, partner) == ["Joan"]
    assert "Joan" not in listed(world, distributor)


def test_what_there_is_none_of_is_refused(world: World, distributor: Node) -> None:
    for query in ({"role": "owner"}, {"state": "gone"}, {"sort": "permissions"}, {"limit": "0"}, {"x": "y"}):
        answer = world.call("identity.list_users", administrator(distributor), query=query)
        assert (answer.status, answer.code) == (400, "invalid"), query
