from tests.builders import a_distributor, a_partner, an_account, an_email
from tests.world import World, administrator


def test_an_account_is_there_for_those_above_it_and_nobody_else(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner = a_partner(world, distributor, an_email())
    account, direct = an_account(world, partner, name="Rosy"), an_account(world, distributor)
    path = {"account_id": account.account}
    for portal in (partner, distributor):
        assert world.call("accounts.get_account", administrator(portal), path=path).json["name"] == "Rosy"
    for portal in (a_distributor(world, an_email()), a_partner(world, distributor, an_email())):
        assert world.call("accounts.get_account", administrator(portal), path=path).status == 404
    assert world.call("accounts.get_account", administrator(account), path=path).status == 403
    unseen = {"account_id": direct.account}
    assert world.call("accounts.get_account", administrator(partner), path=unseen).status == 404


def test_money_shows_to_the_distributor_alone(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner = a_partner(world, distributor, an_email())
    path = {"account_id": an_account(world, partner).account}
    assert (
        world.call("accounts.get_account", administrator(distributor), path=path).json["billing_status"]
        == "trial"
    )
    seen = world.call("accounts.get_account", administrator(partner), path=path).json
    assert not {"amount", "billing_status"} & set(seen)
