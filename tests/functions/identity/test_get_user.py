from tests.builders import a_distributor, a_partner, a_user_of, an_account, an_email
from tests.world import Answer, World, administrator


def test_a_list_is_shown_as_far_as_one_sees_it_oneself(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor)
    direct = an_account(world, distributor)
    both = a_user_of(world, distributor, accessible_accounts=[direct.account, partner.partner])
    narrow = a_user_of(world, distributor, accessible_accounts=[partner.partner])

    def shown(by: object, user_id: str) -> Answer:
        return world.call("identity.get_user", by, path={"user_id": user_id})  # type: ignore[arg-type]

    everything = sorted([direct.account, partner.partner])
    assert shown(administrator(distributor), both.user_id).json["accessible_accounts"] == everything
    assert shown(both, both.user_id).json["accessible_accounts"] == everything
    assert shown(narrow, both.user_id).json["accessible_accounts"] == [partner.partner]
    assert shown(narrow, "usr_never").status == 404


def test_another_portals_user_does_not_exist(world: World) -> None:
    distributor, other = a_distributor(world), a_distributor(world, an_email())
    user = a_user_of(world, distributor)
    for operation, body in (
        ("get_user", None),
        ("change_user", {"name": "Other"}),
        ("remove_user", None),
        ("resend_confirmation", None),
    ):
        path = {"user_id": user.user_id}
        answer = world.call(f"identity.{operation}", administrator(other), path=path, body=body)
        assert (answer.status, answer.code) == (404, "not_found")
