from tests.builders import a_distributor, a_partner, an_email
from tests.world import World, administrator


def test_it_is_a_trial_that_expires_until_somebody_chooses(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner = a_partner(world, distributor, an_email())
    for portal in (distributor, partner):
        answer = world.call("subscriptions.get_default_subscription", administrator(portal))
        assert answer.json == {"mode": "trial_with_expiration", "plan": None, "inherited": True}


def test_a_partner_inherits_its_distributors_choice(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner = a_partner(world, distributor, an_email())
    chosen = {"mode": "trial_with_auto_subscription", "plan": "annual"}
    world.call("subscriptions.set_default_subscription", administrator(distributor), body=chosen)
    seen = world.call("subscriptions.get_default_subscription", administrator(partner)).json
    assert seen == {**chosen, "inherited": True}
