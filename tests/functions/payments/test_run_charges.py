from datetime import UTC, date, datetime, timedelta

from tests.books import a_payer, an_account, bills, run_month, store
from tests.payers import pay, the_charge
from tests.support import FakeStripe
from tests.world import World

ISSUED = datetime(2023, 1, 24, 2, tzinfo=UTC)


def test_it_has_those_bills_looked_at_whose_charge_is_due(world: World, stripe: FakeStripe) -> None:
    north, south = (
        a_payer(date(2022, 12, 26), name, billing_method="credit_card") for name in ("north", "south")
    )
    by_invoice = a_payer(date(2022, 12, 26), "east")
    for number, payer in enumerate((north, south, by_invoice)):
        store(an_account(payer, number, subscribed_on=date(2022, 12, 24)))
    world.now = ISSUED
    run_month(world)

    assert world.run("payments.run_charges") == {"as_of": ISSUED.isoformat(), "messages": 2}
    due = world.messages("Payments")
    assert sorted(each["distributor_id"] for each in due) == ["dst_north", "dst_south"]
    assert due[0]["kind"] == "bill" and due[0]["bill_sk"] == bills(north)[-1].sk

    pay(world)
    assert the_charge(north).look_at == ISSUED + timedelta(days=1)
    before, then = ISSUED + timedelta(hours=23, minutes=59), ISSUED + timedelta(days=1)
    assert world.run("payments.run_charges", before)["messages"] == 0
    assert world.run("payments.run_charges", then)["messages"] == 2
    # However long it was silent.
    assert world.run("payments.run_charges", ISSUED + timedelta(days=200))["messages"] == 2
