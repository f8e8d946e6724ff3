import pytest

from portal import keys
from portal.accounts.records import find_renewal
from portal.journal import AuditEntry
from portal.scope import EVERYTHING
from portal.table import query
from tests.builders import a_distributor, a_partner, an_account, an_email, the_account
from tests.world import World, administrator

APPROVED = {"approve_data_removal": True}
MONTHLY = {"mode": "subscription_without_trial", "plan": "monthly"}


@pytest.mark.parametrize("body", [{}, {"approve_data_removal": False}, {"approve_data_removal": "yes"}, None])
def test_nothing_is_removed_without_approval(world: World, body: object) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(world, distributor)
    path = {"account_id": account.account}
    answer = world.call("accounts.remove_account", administrator(distributor), path=path, body=body)
    assert answer.status in (400, 415)
    assert the_account(account).state == "trial"
    assert (
        world.call("accounts.remove_account", administrator(distributor), path=path, body="{").status == 400
    )


def test_removing_ends_the_subscription_today_and_tells_the_engine(world: World) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(world, distributor, subscription=MONTHLY, email="rosy@example.com")
    world.advance(days=20)
    path = {"account_id": account.account}
    answer = world.call("accounts.remove_account", administrator(distributor), path=path, body=APPROVED)
    assert answer.status == 200
    assert (answer.json["account_status"], answer.json["ended_on"]) == ("removal_pending", "2023-01-30")
    assert answer.json["renewal_date"] is None
    seen = world.call("accounts.get_account", administrator(distributor), path=path).json
    assert seen["account_status"] == "removal_pending"
    world.stream()
    (command,) = world.messages("EngineCommands")
    assert (command["command"], command["account_id"]) == ("account.purge", account.account)
    entries = [entry.description for entry in query(AuditEntry, keys.node(distributor), "AUDIT")]
    assert entries.count("Removed rosy@example.com") == 1


def test_it_is_removed_once(world: World) -> None:
    distributor = a_distributor(world, an_email())
    path = {"account_id": an_account(world, distributor).account}
    assert (
        world.call("accounts.remove_account", administrator(distributor), path=path, body=APPROVED).status
        == 200
    )
    again = world.call("accounts.remove_account", administrator(distributor), path=path, body=APPROVED)
    assert (again.status, again.code) == (409, "removal_pending")


def test_a_foreign_account_is_not_removed(world: World) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(world, distributor)
    stranger = administrator(a_partner(world, distributor, an_email()))
    path = {"account_id": account.account}
    assert world.call("accounts.remove_account", stranger, path=path, body=APPROVED).status == 404
    assert the_account(account).state == "trial"


def test_a_trial_that_had_subscribed_itself_unnoticed_is_invoiced_until_now(world: World) -> None:
    distributor = a_distributor(world, an_email())
    annual = {"mode": "trial_with_auto_subscription", "plan": "annual"}
    account = an_account(world, distributor, subscription=annual, email="rosy@example.com")
    world.advance(days=15)
    path = {"account_id": account.account}
    answer = world.call("accounts.remove_account", administrator(distributor), path=path, body=APPROVED)
    assert (answer.json["subscribed_on"], answer.json["ended_on"]) == ("2023-01-24", "2023-01-25")
    renewal = find_renewal(EVERYTHING, account)
    assert renewal is not None
    assert renewal.due_at.isoformat() == "2023-01-24T00:00:00+00:00"
    entries = [entry.description for entry in query(AuditEntry, keys.node(distributor), "AUDIT")]
    assert entries.count("Subscribed rosy@example.com to the annual plan") == 1
    world.run("subscriptions.run_trials")
    world.work("subscriptions.on_trial_due", "Trials")
    assert the_account(account).state == "removal_pending"
