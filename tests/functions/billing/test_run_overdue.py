from datetime import UTC, date, datetime

from tests.books import a_payer, an_account, bills, run_month, store
from tests.world import World


def test_each_unpaid_bill_is_looked_at_from_its_due_date_on(world: World) -> None:
    north = a_payer(date(2023, 1, 10))
    store(an_account(north))
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    run_month(world)

    world.now = datetime(2023, 2, 22, 23, 59, tzinfo=UTC)
    assert world.run("billing.run_overdue")["messages"] == 0
    world.now = datetime(2023, 2, 23, 3, tzinfo=UTC)
    assert world.run("billing.run_overdue")["messages"] == 1
    assert world.messages("Overdue") == [
        {"distributor_id": "dst_north", "bill_sk": bills(north)[0].sk, "as_of": "2023-02-23T03:00:00+00:00"}
    ]
