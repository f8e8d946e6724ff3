from datetime import timedelta

from tests.builders import a_distributor, an_account, an_email
from tests.world import World


def test_it_sends_one_message_for_each_account_whose_time_has_come(world: World) -> None:
    distributor = a_distributor(world, an_email())
    due = an_account(world, distributor)
    world.advance(hours=1)
    an_account(world, distributor)
    an_account(world, distributor, subscription={"mode": "subscription_without_trial", "plan": "monthly"})
    world.advance(days=10, hours=22, minutes=59, seconds=59)
    assert world.run("subscriptions.run_trials")["messages"] == 0
    world.advance(seconds=1)
    assert world.run("subscriptions.run_trials")["messages"] == 1
    assert [message["account"] for message in world.messages("Trials")] == [str(due)]


def test_what_was_due_then_can_be_asked_for_again(world: World) -> None:
    an_account(world, a_distributor(world, an_email()))
    world.advance(days=11)
    before = world.run("subscriptions.run_trials", as_of=world.now - timedelta(seconds=1))
    assert before["messages"] == 0
    assert world.run("subscriptions.run_trials", as_of=world.now)["messages"] == 1
