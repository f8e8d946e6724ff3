from portal.permissions import HELD_ON
from portal.tree import Tier
from tests.builders import a_distributor, a_partner
from tests.world import ENGINE, OPERATOR, World, administrator


def test_it_tells_user_portal_permissions_and_address(world: World) -> None:
    distributor = a_distributor(world, business="direct_partner")
    answer = world.call("identity.get_me", administrator(distributor), address="2001:db8::7")
    assert answer.status == 200
    assert answer.json == {
        "user": {
            "user_id": "usr_admin",
            "email": administrator(distributor).email,
            "name": "Administrator",
        },
        "portal": {
            "tier": "distributor",
            "name": "North Distribution",
            "business": "direct_partner",
            "distributor_id": distributor.distributor,
        },
        "entered": False,
        "permissions": sorted(HELD_ON[Tier.DISTRIBUTOR]),
        "sees_all": True,
        "ip_address": "2001:db8::7",
    }


def test_in_an_entered_portal_it_tells_of_that_portal(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    answer = world.call("identity.get_me", administrator(partner, home=distributor))
    assert answer.json["entered"] is True
    assert answer.json["portal"] == {
        "tier": "partner",
        "name": "Jacob Anderson",
        "distributor_id": distributor.distributor,
        "partner_id": partner.partner,
    }


def test_operators_are_in_the_vendors_portal(world: World) -> None:
    answer = world.call("identity.get_me", OPERATOR)
    assert answer.json["portal"] == {"tier": "vendor", "name": "Example Backup"}
    assert "operator.distributors" in answer.json["permissions"]


def test_it_is_for_people(world: World) -> None:
    assert world.call("identity.get_me").status == 401
    assert world.call("identity.get_me", ENGINE).status == 403
