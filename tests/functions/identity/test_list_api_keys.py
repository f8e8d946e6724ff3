from dataclasses import replace

from portal import keys
from portal.identity.records import User
from portal.table import query
from tests.builders import a_distributor, a_partner, an_api_key, bearer, client_tokens, confirm, sign_in
from tests.trees import a_user, store
from tests.world import World, administrator


def test_keys_are_listed_with_their_owners_and_when_they_were_used(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    owner = bearer(world, sign_in(world, "office@north.example.com")["access_token"])
    other = administrator(distributor, "usr_other", "other@north.example.com")
    store(a_user(other, world.now))
    first = an_api_key(world, owner, "Reporting")
    world.advance(hours=13)
    second = an_api_key(world, other, "Billing")
    client_tokens(world, first)
    listed = world.call("identity.list_api_keys", owner)
    assert listed.status == 200
    assert listed.json["items"] == [
        {
            "client_id": second["client_id"],
            "name": "Billing",
            "user_id": "usr_other",
            "email": "other@north.example.com",
            "created_at": "2023-01-11T01:00:00Z",
            "last_used_on": None,
        },
        {
            "client_id": first["client_id"],
            "name": "Reporting",
            "user_id": owner.user_id,
            "email": "office@north.example.com",
            "created_at": "2023-01-10T12:00:00Z",
            "last_used_on": "2023-01-11",
        },
    ]
    for key in (first, second):
        assert key["client_secret"] not in listed.text
    page = world.call("identity.list_api_keys", owner, query={"limit": "1"}).json
    assert (page["total"], page["items"][0]["name"]) == (2, "Billing")
    rest = world.call(
        "identity.list_api_keys", owner, query={"limit": "1", "cursor": page["next_cursor"]}
    ).json
    assert [each["name"] for each in rest["items"]] == ["Reporting"]
    # A removed user's keys are worth nothing any more, and not shown while they wait to be deleted.
    [user] = [
        each for each in query(User, keys.node(distributor), keys.user()) if each.user_id == "usr_other"
    ]
    user.delete()
    assert world.call("identity.list_api_keys", owner).json["total"] == 1


def test_other_portals_keys_are_not_listed(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    owner = bearer(world, sign_in(world, "office@north.example.com")["access_token"])
    an_api_key(world, owner)
    partner = administrator(a_partner(world, distributor))
    assert world.call("identity.list_api_keys", partner).json["items"] == []
    without = replace(owner, permissions=owner.permissions - {"integrations.manage"})
    assert world.call("identity.list_api_keys", without).status == 403
