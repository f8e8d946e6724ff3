from dataclasses import replace

from tests.builders import a_distributor, a_partner
from tests.world import OPERATOR, World, administrator


def test_nothing_is_restricted_to_begin_with(world: World) -> None:
    for caller in (OPERATOR, administrator(a_distributor(world))):
        answer = world.call("identity.list_ip_restrictions", caller, address="2001:db8::7")
        assert answer.status == 200
        assert answer.json == {
            "enabled": False,
            "ip_address": "2001:db8::7",
            "items": [],
            "next_cursor": None,
            "total": 0,
        }


def test_entries_are_listed_as_they_were_given_oldest_first_page_by_page(world: World) -> None:
    distributor = a_distributor(world)
    admin = administrator(distributor)
    added = []
    for body in (
        {"addresses": "198.51.100.7,2001:DB8::1", "description": "Office"},
        {"from": "203.0.113.0", "to": "203.0.113.255"},
        {"addresses": "10.0.0.1"},
    ):
        added.append(world.call("identity.add_ip_entry", admin, body=body).json)
        world.advance(seconds=1)
    listed = world.call("identity.list_ip_restrictions", admin).json
    assert listed["enabled"] is True
    assert listed["items"] == added
    assert listed["items"][0] == {
        "entry_id": added[0]["entry_id"],
        "addresses": "198.51.100.7, 2001:db8::1",
        "description": "Office",
        "created_at": "2023-01-10T12:00:00Z",
    }
    assert listed["items"][1] == {
        "entry_id": added[1]["entry_id"],
        "from": "203.0.113.0",
        "to": "203.0.113.255",
        "description": "",
        "created_at": "2023-01-10T12:00:01Z",
    }
    first = world.call("identity.list_ip_restrictions", admin, query={"limit": "2"}).json
    assert (len(first["items"]), first["total"], first["enabled"]) == (2, 3, True)
    second = world.call(
        "identity.list_ip_restrictions", admin, query={"limit": "2", "cursor": first["next_cursor"]}
    )
    assert [each["entry_id"] for each in second.json["items"]] == [added[2]["entry_id"]]
    # Each portal has its own.
    partner = administrator(a_partner(world, distributor))
    assert world.call("identity.list_ip_restrictions", partner).json["total"] == 0


def test_who_may_not_manage_security_sees_nothing(world: World) -> None:
    admin = administrator(a_distributor(world))
    without = replace(admin, permissions=admin.permissions - {"security.manage"})
    answer = world.call("identity.list_ip_restrictions", without)
    assert (answer.status, answer.code) == (403, "not_permitted")
