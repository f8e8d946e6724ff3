from datetime import UTC, date, datetime, timedelta

from tests.books import a_payer
from tests.world import World


def test_everybody_is_gone_through_each_night_and_wholly_once_in_four_weeks(world: World) -> None:
    a_payer(date(2023, 1, 10))
    a_payer(date(2023, 1, 10), "south")
    first = datetime(2023, 2, 1, 4, 30, tzinfo=UTC)
    wholly: dict[str, list[int]] = {"": [], "dst_north": [], "dst_south": []}

    for night in range(56):
        world.now = first + timedelta(days=night)
        assert world.run("billing.run_reconciliation")["messages"] == 3
        for message in world.messages("Reconciliation"):
            if message["full"]:
                wholly[message["distributor_id"]].append(night)

    assert {len(nights) for nights in wholly.values()} == {2}
    assert {nights[1] - nights[0] for nights in wholly.values()} == {28}
