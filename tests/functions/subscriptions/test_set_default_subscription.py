import pytest

from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from tests.builders import a_distributor, a_partner, an_email
from tests.world import World, administrator

MONTHLY = {"mode": "trial_with_auto_subscription", "plan": "monthly"}
EXPIRING = {"mode": "trial_with_expiration", "plan": None}


def test_a_partners_own_choice_overrides_its_distributors_and_touches_nobody_else(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner, other = a_partner(world, distributor, an_email()), a_partner(world, distributor, an_email())
    world.call("subscriptions.set_default_subscription", administrator(distributor), body=MONTHLY)
    answer = world.call("subscriptions.set_default_subscription", administrator(partner), body=EXPIRING)
    assert (answer.status, answer.json) == (200, {**EXPIRING, "inherited": False})
    seen = {
        portal: world.call("subscriptions.get_default_subscription", administrator(portal)).json["mode"]
        for portal in (distributor, partner, other)
    }
    assert seen == {distributor: MONTHLY["mode"], partner: EXPIRING["mode"], other: MONTHLY["mode"]}
    entries = [entry.description for entry in query(AuditEntry, keys.node(partner), "AUDIT")]
    assert entries.count("Set the default subscription to trial with expiration") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"mode": "forever"},
        {"mode": "trial_with_auto_subscription"},
        {"mode": "subscription_without_trial", "plan": "weekly"},
        {"mode": "trial_with_expiration", "plan": "monthly"},
        {**MONTHLY, "inherited": False},
    ],
)
def test_nonsense_is_refused(world: World, wrong: dict[str, str]) -> None:
    distributor = a_distributor(world, an_email())
    answer = world.call("subscriptions.set_default_subscription", administrator(distributor), body=wrong)
    assert (answer.status, answer.code) == (400, "invalid")
    seen = world.call("subscriptions.get_default_subscription", administrator(distributor)).json
    assert seen["inherited"]
