from tests.builders import a_distributor, a_partner, an_account, an_email
from tests.world import World, administrator


def test_a_trial_shows_when_it_ends_and_a_subscription_when_it_renews(world: World) -> None:
    distributor = a_distributor(world, an_email())
    trial = an_account(world, distributor)
    annual = an_account(
        world, distributor, subscription={"mode": "subscription_without_trial", "plan": "annual"}
    )
    world.advance(days=3)
    seen = {
        node: world.call(
            "subscriptions.get_subscription", administrator(distributor), path={"account_id": node.account}
        ).json
        for node in (trial, annual)
    }
    assert (seen[trial]["plan"], seen[trial]["trial_ends_at"]) == (None, "2023-01-24T12:00:00Z")
    assert seen[trial]["default_subscription"] == {"mode": "trial_with_expiration", "plan": None}
    assert seen[trial]["renewal_date"] is None
    assert (seen[annual]["plan"], seen[annual]["account_status"]) == ("annual", "annual_subscribed")
    assert (seen[annual]["subscribed_on"], seen[annual]["renewal_date"]) == ("2023-01-10", "2024-01-10")


def test_a_foreign_account_has_none(world: World) -> None:
    distributor = a_distributor(world, an_email())
    path = {"account_id": an_account(world, distributor).account}
    stranger = administrator(a_partner(world, distributor, an_email()))
    assert world.call("subscriptions.get_subscription", stranger, path=path).status == 404
