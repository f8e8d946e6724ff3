from datetime import UTC, date, datetime, timedelta

import pytest

from portal.tree import Node
from tests.books import a_payer, an_account, bills, outbox, run_month, run_overdue, store
from tests.world import OPERATOR, World


@pytest.fixture
def north(world: World) -> Node:
    """A distributor whose bill over 2.11 was issued on 24 January and is due on 23 February."""
    north = a_payer(date(2023, 1, 10))
    store(an_account(north))
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    run_month(world)
    return north


def reminders(north: Node) -> list[tuple[str, int]]:
    """What was still owed, and how many days past the due date."""
    mails = [body for body in outbox(north, "Mail") if body["template"] == "bill_reminder"]
    assert all(body["to_billing"] for body in mails)
    return [(body["parameters"]["amount"], body["parameters"]["days_past"]) for body in mails]


def pass_days(world: World, until: date) -> None:
    """Let the job run every night."""
    while world.now.date() < until:
        world.now = datetime.combine(
            world.now.date() + timedelta(days=1), datetime.min.time(), UTC
        ) + timedelta(hours=3)
        run_overdue(world)


def test_it_is_overdue_the_day_after_its_due_date(world: World, north: Node) -> None:
    pass_days(world, date(2023, 2, 23))
    assert bills(north)[0].state == "issued"

    pass_days(world, date(2023, 2, 24))
    assert bills(north)[0].state == "overdue"


def test_it_is_reminded_of_four_times_and_never_again(world: World, north: Node) -> None:
    pass_days(world, date(2023, 4, 20))

    assert reminders(north) == [("2.11 USD", 0), ("2.11 USD", 7), ("2.11 USD", 14), ("2.11 USD", 30)]


def test_reminders_ask_for_what_is_still_owed_and_end_with_the_last_payment(
    world: World, north: Node
) -> None:
    def pay(amount: str) -> None:
        answer = world.call(
            "operators.record_payment",
            OPERATOR,
            path={"reference": "10001"},
            body={"amount": amount, "currency": "USD", "received_on": world.now.date().isoformat()},
        )
        assert answer.status == 201, answer.text

    pass_days(world, date(2023, 2, 24))
    pay("2.00")
    pass_days(world, date(2023, 3, 3))
    pay("0.11")
    pass_days(world, date(2023, 4, 20))

    assert bills(north)[0].state == "paid"
    assert reminders(north) == [("2.11 USD", 0), ("0.11 USD", 7)]


def test_a_message_that_comes_twice_late_or_too_early_changes_nothing(world: World, north: Node) -> None:
    message = {"distributor_id": "dst_north", "bill_sk": bills(north)[0].sk, "as_of": "2024-01-01T00:00:00Z"}
    world.deliver("billing.on_bill_due", message)
    assert reminders(north) == []

    pass_days(world, date(2023, 3, 2))
    world.deliver("billing.on_bill_due", message)
    world.deliver("billing.on_bill_due", {**message, "as_of": "2023-02-23T03:00:00Z"})

    assert reminders(north) == [("2.11 USD", 0), ("2.11 USD", 7)]
    assert bills(north)[0].state == "overdue"


def test_a_card_bill_is_overdue_the_day_after_its_last_attempt_without_a_reminder_before(
    world: World,
) -> None:
    south = a_payer(date(2023, 1, 10), "south", billing_method="credit_card")
    store(an_account(south))
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    run_month(world)

    pass_days(world, date(2023, 1, 31))
    assert (bills(south)[0].state, reminders(south)) == ("issued", [])

    pass_days(world, date(2023, 2, 1))
    assert (bills(south)[0].state, reminders(south)) == ("overdue", [])

    pass_days(world, date(2023, 2, 7))
    assert reminders(south) == [("2.11 USD", 7)]
