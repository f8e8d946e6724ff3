from tests.builders import a_distributor, an_email
from tests.world import World


def test_it_sends_one_message_for_each_distributor(world: World) -> None:
    distributors = {a_distributor(world, an_email()).distributor for _ in range(3)}
    assert world.run("dashboard.run_rollup_rebuild")["messages"] == 3
    assert {message["distributor_id"] for message in world.messages("Rollups")} == distributors
