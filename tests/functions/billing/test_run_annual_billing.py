from datetime import UTC, date, datetime

from tests.books import a_payer, an_account, store
from tests.world import World


def test_each_account_whose_term_has_begun_gets_one_message(world: World) -> None:
    north = a_payer(date(2023, 1, 10))
    store(
        [
            *an_account(north, 1, plan="annual", subscribed_on=date(2023, 1, 12)),
            *an_account(north, 2, plan="annual", subscribed_on=date(2023, 1, 13), partner="prt_1"),
            *an_account(north, 3, plan="annual", subscribed_on=date(2023, 1, 14)),
            *an_account(north, 4, plan="monthly"),
        ]
    )
    world.now = datetime(2023, 1, 13, 2, 10, tzinfo=UTC)

    assert world.run("billing.run_annual_billing")["messages"] == 2

    assert world.messages("Billing") == [
        {"kind": "annual", "account": account, "as_of": "2023-01-13T02:10:00+00:00"}
        for account in ("dst_north/direct/acc_000001", "dst_north/prt_1/acc_000002")
    ]
