from tests.builders import a_distributor, an_account, an_email
from tests.world import World, administrator


def test_it_looks_at_removed_accounts_a_day_later_and_at_no_others(world: World) -> None:
    distributor = a_distributor(world, an_email())
    removed, _ = an_account(world, distributor), an_account(world, distributor)
    path, body = {"account_id": removed.account}, {"approve_data_removal": True}
    world.call("accounts.remove_account", administrator(distributor), path=path, body=body)
    assert world.run("accounts.run_purge")["messages"] == 0
    world.advance(days=1)
    assert world.run("accounts.run_purge")["messages"] == 1
    assert [message["account"] for message in world.messages("Purge")] == [str(removed)]
