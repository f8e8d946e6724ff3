from tests.builders import a_distributor, a_partner
from tests.world import OPERATOR, World, administrator


def test_what_is_no_distributor_is_not_there(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    for distributor_id in ("dst_unknown", partner.partner, "V"):
        answer = world.call("operators.get_distributor", OPERATOR, path={"distributor_id": distributor_id})
        assert (answer.status, answer.code) == (404, "not_found")


def test_a_distributor_is_shown_to_operators(world: World) -> None:
    path = {"distributor_id": a_distributor(world).distributor}
    assert world.call("operators.get_distributor", OPERATOR, path=path).json["name"] == "North Distribution"


def test_a_distributor_does_not_see_itself_as_operators_do(world: World) -> None:
    distributor = a_distributor(world)
    path = {"distributor_id": distributor.distributor}
    assert world.call("operators.get_distributor", administrator(distributor), path=path).status == 403
