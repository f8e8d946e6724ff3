from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.books import a_payer, an_account, bills, check_books, store
from tests.world import Context, World

WORKER = "billing.on_billing_due"


def test_a_message_for_a_month_and_one_for_a_term(world: World) -> None:
    north = a_payer(date(2023, 1, 10))
    store([*an_account(north, 1), *an_account(north, 2, plan="annual", subscribed_on=date(2023, 1, 24))])
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)

    world.deliver(WORKER, {"kind": "monthly", "distributor_id": "dst_north"})
    world.deliver(WORKER, {"kind": "annual", "account": "dst_north/direct/acc_000002"})

    assert {(bill.bill_kind, bill.state) for bill in bills(north)} == {
        ("monthly", "issued"),
        ("annual", "issued"),
    }
    check_books(north)


def test_when_time_is_short_the_rest_goes_into_a_new_message(world: World) -> None:
    north = a_payer(date(2023, 1, 10))
    store(an_account(north))
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    world.context = Context(milliseconds=0)
    message = {"kind": "monthly", "distributor_id": "dst_north", "as_of": "2023-01-24T02:00:00Z"}

    world.deliver(WORKER, message)

    assert bills(north)[0].state == "draft"
    assert world.messages("Billing") == [message]


@pytest.mark.parametrize("message", [{"kind": "weekly"}, {"distributor_id": "dst_north"}, {}])
def test_a_message_that_nobody_understands_stays_in_the_queue(world: World, message: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="failed on"):
        world.deliver(WORKER, message)


def test_a_message_for_an_account_that_is_gone_does_nothing(world: World) -> None:
    north = a_payer(date(2023, 1, 10))

    world.deliver(WORKER, {"kind": "annual", "account": "dst_north/direct/acc_000009"})

    assert bills(north) == []
