from tests.builders import a_distributor, a_partner, bearer, confirm, sign_in
from tests.world import World


def test_after_signing_out_the_next_request_is_refused(world: World) -> None:
    a_distributor(world)
    confirm(world, "office@north.example.com")
    tokens = sign_in(world, "office@north.example.com")
    other = sign_in(world, "office@north.example.com")
    assert world.call("identity.sign_out", bearer(world, tokens["access_token"])).status == 204
    refused = bearer(world, tokens["access_token"])
    assert (refused.kind, refused.refused) == ("anonymous", "session_ended")
    assert world.call("identity.get_me", refused).status == 401
    form = f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}"
    assert world.call("identity.issue_token", form=form).json["error"] == "invalid_grant"
    assert bearer(world, other["access_token"]).kind == "user"


def test_signing_out_ends_the_portals_that_were_entered(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    confirm(world, "office@north.example.com")
    tokens = sign_in(world, "office@north.example.com")
    caller = bearer(world, tokens["access_token"])
    entered = world.call("identity.access_partner", caller, path={"partner_id": partner.partner}).json
    assert bearer(world, entered["access_token"]).portal == partner
    world.call("identity.sign_out", caller)
    assert bearer(world, entered["access_token"]).refused == "session_ended"


def test_leaving_an_entered_portal_leaves_ones_own_session(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    confirm(world, "office@north.example.com")
    tokens = sign_in(world, "office@north.example.com")
    caller = bearer(world, tokens["access_token"])
    entered = world.call("identity.access_partner", caller, path={"partner_id": partner.partner}).json
    assert world.call("identity.sign_out", bearer(world, entered["access_token"])).status == 204
    assert bearer(world, entered["access_token"]).refused == "session_ended"
    assert bearer(world, tokens["access_token"]).kind == "user"


def test_nobody_signs_out_without_being_signed_in(world: World) -> None:
    assert world.call("identity.sign_out").status == 401
