from datetime import UTC, datetime

from portal.distributors.records import get_schedule
from portal.scope import EVERYTHING
from tests.engine_events import NOON
from tests.trees import plant
from tests.world import World


def test_every_distributor_that_is_due_gets_one_message(world: World) -> None:
    for name in ("north", "south"):
        plant(NOON, name)
    assert world.run("billing.run_usage_snapshot")["messages"] == 0
    world.advance(days=1)
    assert world.run("billing.run_usage_snapshot")["messages"] == 2
    messages = world.messages("Usage")
    assert {message["distributor_id"] for message in messages} == {"dst_north", "dst_south"}
    assert {message["as_of"] for message in messages} == {"2023-01-11T12:00:00+00:00"}


def test_what_was_done_is_not_due_again_until_the_next_midnight(world: World) -> None:
    north = plant(NOON).distributor
    world.now = datetime(2023, 1, 14, 0, 20, tzinfo=UTC)
    world.run("billing.run_usage_snapshot")
    world.work("billing.on_usage_due", "Usage")
    assert get_schedule(EVERYTHING, north, "usage").due_at == datetime(2023, 1, 15, tzinfo=UTC)
    assert world.run("billing.run_usage_snapshot")["messages"] == 0
    world.now = datetime(2023, 1, 15, tzinfo=UTC)
    assert world.run("billing.run_usage_snapshot")["messages"] == 1


def test_a_run_as_of_an_earlier_day_looks_at_what_was_due_then(world: World) -> None:
    plant(NOON)
    world.advance(days=5)
    early = datetime(2023, 1, 10, 13, tzinfo=UTC)
    assert world.run("billing.run_usage_snapshot", as_of=early)["messages"] == 0
