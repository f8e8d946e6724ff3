from datetime import UTC, date, datetime

from tests.books import a_payer
from tests.world import World


def test_each_distributor_whose_period_has_ended_gets_one_message(world: World) -> None:
    a_payer(date(2023, 1, 10), "north", payment_day=24)
    a_payer(date(2023, 1, 10), "south", payment_day=23)
    a_payer(date(2023, 1, 10), "east", payment_day=25)
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)

    assert world.run("billing.run_monthly_billing")["messages"] == 2

    assert world.messages("Billing") == [
        {"kind": "monthly", "distributor_id": name, "as_of": "2023-01-24T02:00:00+00:00"}
        for name in ("dst_south", "dst_north")
    ]


def test_as_of_repeats_an_earlier_run(world: World) -> None:
    a_payer(date(2023, 1, 10), "north", payment_day=24)
    world.now = datetime(2023, 1, 30, tzinfo=UTC)

    assert (
        world.run("billing.run_monthly_billing", datetime(2023, 1, 23, 23, 59, tzinfo=UTC))["messages"] == 0
    )
    assert world.run("billing.run_monthly_billing", datetime(2023, 1, 24, tzinfo=UTC))["messages"] == 1
