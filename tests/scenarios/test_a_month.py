"""A distributor's month through the ordinary operations and jobs, with a removed account's last days."""

from datetime import UTC, date, datetime, timedelta

import pytest

from portal.accounts.records import find_account_at
from portal.scope import EVERYTHING
from portal.tree import Node
from tests import builders
from tests.books import PRICES, bills, check_books, lines, outcomes, run_month, run_year
from tests.engine_events import changed, entity, event, on, report
from tests.world import World, administrator


@pytest.fixture
def north(world: World) -> Node:
    return builders.a_distributor(
        world, payment_day=24, billing_method="invoice", tax_rate="0.17", tax_name="VAT", prices=dict(PRICES)
    )


def subscribed(world: World, portal: Node, plan: str, *mailboxes: str) -> tuple[Node, str]:
    """An account that is subscribed from its creation on, with mailboxes that are backed up since."""
    subscription = {"mode": "subscription_without_trial", "plan": plan}
    account = builders.an_account(world, portal, subscription=subscription)
    task = builders.a_backup_task(world, account)
    at = world.now.isoformat()
    report(world, changed(account, task, at, *(entity(each) for each in mailboxes)))
    return account, task


def nights(world: World, until: date) -> None:
    """What the schedules do every night up to a day, that day's included."""
    while world.now.date() < until:
        world.now = datetime.combine(world.now.date() + timedelta(days=1), datetime.min.time(), UTC)
        world.advance(minutes=20)
        world.run("billing.run_usage_snapshot")
        world.work("billing.on_usage_due", "Usage")
        world.advance(hours=2)
        run_month(world)
        run_year(world)
        world.stream("notifications.deliver_outbox")
        world.run("accounts.run_purge")
        world.work("accounts.on_purge", "Purge")


def test_a_month(world: World, north: Node) -> None:
    partner = builders.a_partner(world, north)
    steady, _ = subscribed(world, partner, "monthly", "m1", "m2", "m3")
    growing, task = subscribed(world, north, "monthly", "m1")
    yearly, _ = subscribed(world, north, "annual", "m1", "m2")
    trial = builders.an_account(world, partner)
    nights(world, date(2023, 1, 18))
    late = changed(growing, task, on(15), entity("m2"), entity("m3", licensed=False))
    report(world, late, late)

    nights(world, date(2023, 1, 24))

    [bill] = [bill for bill in bills(north) if bill.bill_kind == "monthly"]
    assert outcomes(bill) == {
        steady.account: "billed",
        growing.account: "billed",
        yearly.account: "billed",
        trial.account: "trial",
    }
    assert {(line.account_id, line.kind, line.quantity, line.days) for line in lines(bill)} == {
        (steady.account, "monthly", 3, 14),
        (growing.account, "monthly", 2, 14),
        (yearly.account, "true_up", 2, 351),
    }
    check_books(north)


def test_a_removed_account_is_billed_for_its_last_days_and_then_forgotten(world: World, north: Node) -> None:
    account, task = subscribed(world, north, "monthly", "m1")
    nights(world, date(2023, 1, 16))
    report(world, changed(account, task, on(16, 1), entity("m2")))
    world.now = datetime(2023, 1, 17, 0, 5, tzinfo=UTC)
    answer = world.call(
        "accounts.remove_account",
        administrator(north),
        path={"account_id": account.account},
        body={"approve_data_removal": True},
    )
    assert answer.status == 200, answer.text
    report(world, event(account, "purge.completed", world.now.isoformat()))
    world.run("accounts.run_purge")
    world.work("accounts.on_purge", "Purge")

    nights(world, date(2023, 1, 23))
    kept = find_account_at(EVERYTHING, account)
    assert kept is not None
    assert kept.state == "removed"
    nights(world, date(2023, 1, 25))

    [bill] = bills(north)
    assert [(line.quantity, line.days, line.of_days, line.amount) for line in lines(bill)] == [
        (2, 7, 31, round(2 * 180 * 7 / 31))
    ]
    assert find_account_at(EVERYTHING, account) is None
    nights(world, date(2023, 2, 24))
    assert outcomes(bills(north)[-1]) == {}
