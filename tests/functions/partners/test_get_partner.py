from dataclasses import replace

from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_email
from tests.trees import a_user, store
from tests.world import Answer, World, administrator


def get(world: World, distributor: Node, partner_id: str) -> Answer:
    return world.call("partners.get_partner", administrator(distributor), path={"partner_id": partner_id})


def test_a_partner_is_found_by_its_id_and_by_its_partner_id(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor, partner_id="DDEVR002")
    by_id = get(world, distributor, partner.partner)
    assert by_id.status == 200
    assert get(world, distributor, "ddevr002").json == by_id.json
    assert by_id.json["partner_id"] == "DDEVR002"


def test_a_partner_outside_the_callers_tree_does_not_exist(world: World) -> None:
    distributor, other = a_distributor(world), a_distributor(world, "office@south.example.com")
    partner = a_partner(world, other, partner_id="DDEVR002")
    for partner_id in (partner.partner, "DDEVR002", "direct", "prt_unknown", "A%2FB", other.distributor):
        answer = get(world, distributor, partner_id)
        assert (answer.status, answer.code) == (404, "not_found")


def test_a_partner_that_is_not_accessible_does_not_exist(world: World) -> None:
    distributor = a_distributor(world)
    seen, unseen = (a_partner(world, distributor, an_email(), partner_id=code) for code in ("SEEN", "UNSEEN"))
    caller = administrator(distributor, "usr_limited", "limited@example.com")
    store(a_user(caller, world.now, accessible=[seen.partner]))
    limited = replace(caller, limited=True)
    statuses = {
        partner_id: world.call("partners.get_partner", limited, path={"partner_id": partner_id}).status
        for partner_id in (seen.partner, "SEEN", unseen.partner, "UNSEEN")
    }
    assert list(statuses.values()) == [200, 200, 404, 404]
