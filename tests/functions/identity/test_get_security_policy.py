from tests.builders import a_distributor, a_partner, bearer, confirm, sign_in
from tests.world import World, administrator


def test_a_portal_that_never_said_anything_asks_nothing(world: World) -> None:
    answer = world.call("identity.get_security_policy", administrator(a_distributor(world)))
    assert answer.status == 200
    assert answer.json == {"password_expires_after_days": None, "two_factor_required": False}


def test_each_portal_has_its_own(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor, "pam@example.com")
    confirm(world, "pam@example.com")
    pam = bearer(world, sign_in(world, "pam@example.com")["access_token"])
    policy = {"password_expires_after_days": 90, "two_factor_required": False}
    assert world.call("identity.set_security_policy", pam, body=policy).json == policy
    for portal, days in ((partner, 90), (distributor, None)):
        answer = world.call("identity.get_security_policy", administrator(portal))
        assert answer.json["password_expires_after_days"] == days
