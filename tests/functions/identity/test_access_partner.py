from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import Node
from tests.builders import a_distributor, a_partner, bearer, confirm, sign_in
from tests.world import World, administrator


def accessed(node: Node) -> list[AuditEntry]:
    entries = query(AuditEntry, keys.node(node), "AUDIT")
    return [entry for entry in entries if entry.activity == "account accessed"]


def test_entering_gives_tokens_for_the_partners_portal_that_still_name_the_user(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    confirm(world, "office@north.example.com")
    caller = bearer(world, sign_in(world, "office@north.example.com")["access_token"])
    answer = world.call("identity.access_partner", caller, path={"partner_id": partner.partner})
    assert answer.status == 200
    entered = bearer(world, answer.json["access_token"])
    assert (entered.portal, entered.user_id) == (partner, caller.user_id)
    me = world.call("identity.get_me", entered).json
    assert (me["portal"]["name"], me["entered"]) == ("Jacob Anderson", True)
    for node in (distributor, partner):
        [entry] = accessed(node)
        assert (entry.description, entry.account, entry.performed_by) == (
            "Accessed account jacob@anderson.example.com",
            "jacob@anderson.example.com",
            "office@north.example.com",
        )


def test_tokens_are_never_kept_for_a_repeated_request(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    confirm(world, "office@north.example.com")
    caller = bearer(world, sign_in(world, "office@north.example.com")["access_token"])
    path, headers = {"partner_id": partner.partner}, {"Idempotency-Key": "once"}
    first, second = (
        world.call("identity.access_partner", caller, path=path, headers=headers).json for _ in range(2)
    )
    assert first["access_token"] != second["access_token"]


def test_a_foreign_partner_cannot_be_entered(world: World) -> None:
    distributor = a_distributor(world)
    foreign = a_partner(world, a_distributor(world, "office@south.example.com"))
    for partner_id in (foreign.partner, "direct", "prt_unknown"):
        path = {"partner_id": partner_id}
        assert world.call("identity.access_partner", administrator(distributor), path=path).status == 404
    assert accessed(foreign) == []


def test_who_has_just_signed_out_enters_nothing(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    confirm(world, "office@north.example.com")
    caller = bearer(world, sign_in(world, "office@north.example.com")["access_token"])
    world.call("identity.sign_out", caller)
    answer = world.call("identity.access_partner", caller, path={"partner_id": partner.partner})
    assert (answer.status, answer.code) == (401, "not_signed_in")
