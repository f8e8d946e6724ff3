"""A distributor's month, billed: at all sizes, late, twice, at once, and with every call failing."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from portal import consumer
from portal.billing import roster
from portal.billing.records import list_parts
from portal.periods import Period, next_payment_date
from portal.scope import EVERYTHING
from portal.table import write
from tests.books import (
    DROPBOX,
    EXCHANGE,
    PRICES,
    a_payer,
    an_account,
    bills,
    check_books,
    lines,
    midnight,
    outcomes,
    priced,
    read_books,
    run_month,
    store,
)
from tests.builders import a_backup_task, a_distributor, a_partner, an_email
from tests.builders import an_account as an_account_of
from tests.engine_events import changed, event, on, report
from tests.support import Harness
from tests.world import OPERATOR, Context, World, administrator

CREATED = date(2023, 1, 10)
PAYMENT_DAY = datetime(2023, 1, 24, 2, tzinfo=UTC)
WORKER = "billing.on_billing_due"
MONTHLY = {"kind": "monthly", "distributor_id": "dst_north"}


def waiting(world: World) -> list[dict[str, Any]]:
    """What operators see parked."""
    answer = world.call("operators.list_parked", OPERATOR)
    assert answer.status == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def release(world: World, parked_id: str) -> dict[str, Any]:
    """Let an operator release a parked bill, and the run go on."""
    answer = world.call("operators.release_parked", OPERATOR, path={"parked_id": parked_id})
    assert answer.status == 200, answer.text
    world.stream("notifications.deliver_outbox")
    world.work(WORKER, "Billing")
    shown: dict[str, Any] = answer.json
    return shown


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 2_500])
def test_a_month_of_any_size_is_one_bill(world: World, size: int) -> None:
    north = a_payer(CREATED)
    long_ago = {"first_billed_on": date(2022, 7, 1)} if size > 101 else {}
    store(record for number in range(size) for record in an_account(north, number, **long_ago))
    world.now = PAYMENT_DAY

    run_month(world)

    [bill] = bills(north)
    assert bill.state == ("issued" if size else "nothing_to_bill")
    assert (bill.net_minor, bill.tax_minor) == (size * 180, round(size * 180 * 0.17))
    assert outcomes(bill) == {f"acc_{number:06d}": "billed" for number in range(size)}
    check_books(north)


def test_nothing_is_billed_before_its_period_has_ended(world: World) -> None:
    north = a_payer(CREATED)
    store(an_account(north))

    world.now = datetime(2023, 1, 23, 23, 59, 59, tzinfo=UTC)
    run_month(world)
    run_month(world, as_of=PAYMENT_DAY)
    world.deliver(WORKER, {"kind": "monthly", "distributor_id": "dst_north", "as_of": "2023-06-01T00:00:00Z"})

    assert bills(north) == []


def test_running_again_changes_nothing(world: World) -> None:
    north = a_payer(CREATED)
    store(an_account(north))
    world.now = PAYMENT_DAY
    run_month(world)
    after_one = read_books(north)

    run_month(world)
    run_month(world, as_of=datetime(2023, 1, 24, tzinfo=UTC))
    world.advance(days=5)
    run_month(world)
    world.deliver(WORKER, MONTHLY)

    assert read_books(north) == after_one
    assert len(after_one.bills) == 1
    check_books(north)


def test_a_year_of_months_abuts_and_has_one_bill_each(world: World) -> None:
    north = a_payer(CREATED, payment_day=31)
    store(an_account(north))
    payment_date = CREATED
    for _ in range(12):
        payment_date = next_payment_date(31, payment_date)
        world.now = midnight(payment_date)
        run_month(world)

    periods = [Period(bill.period_start_on, bill.period_end_on) for bill in bills(north)]
    assert [period.end for period in periods][:4] == [
        date(2023, 1, 31), date(2023, 2, 28), date(2023, 3, 31), date(2023, 4, 30),
    ]  # fmt: skip
    assert len(periods) == 12
    assert all(earlier.end == later.start for earlier, later in pairwise(periods))
    assert {bill.total_minor for bill in bills(north)} == {211}
    assert {bill.issued_on == bill.period_end_on for bill in bills(north)} == {True}
    check_books(north)


# What is on the bill


def test_days_before_subscribing_and_from_removal_on_are_not_billed(world: World) -> None:
    north = a_payer(CREATED)
    store(
        [
            *an_account(north, 1, subscribed_on=date(2023, 1, 17)),
            *an_account(north, 2, state="removal_pending", ended_on=date(2023, 1, 3)),
            *an_account(north, 3, state="removal_pending", ended_on=date(2022, 12, 24)),
            *an_account(
                north, 4, state="removal_pending", subscribed_on=date(2023, 1, 2), ended_on=date(2023, 1, 2)
            ),
            *an_account(north, 5, subscribed_on=date(2023, 1, 24)),
        ]
    )
    world.now = PAYMENT_DAY

    run_month(world)

    [bill] = bills(north)
    assert [(line.account_id, line.days, line.of_days, line.amount) for line in lines(bill)] == [
        ("acc_000001", 7, 31, 41),
        ("acc_000002", 10, 31, 58),
    ]
    assert outcomes(bill) == {
        "acc_000001": "billed",
        "acc_000002": "billed",
        "acc_000003": "removed",
        "acc_000004": "removed",
        "acc_000005": "trial",
    }
    check_books(north)


def test_every_account_has_a_line_or_a_reason(world: World) -> None:
    north = a_payer(CREATED)
    store(
        [
            *an_account(north, 1, partner="prt_1"),
            *an_account(north, 2, plan=None),
            *an_account(north, 3, plan="annual", subscribed_on=date(2023, 1, 24)),
            *an_account(north, 4, counts=0),
            *an_account(north, 5, counts={}),
        ]
    )
    world.now = PAYMENT_DAY

    run_month(world)

    [bill] = bills(north)
    assert outcomes(bill) == {
        "acc_000001": "billed",
        "acc_000002": "trial",
        "acc_000003": "trial",
        "acc_000004": "free",
        "acc_000005": "free",
    }
    assert [(line.partner_id, line.account_name, line.account_email) for line in lines(bill)] == [
        ("prt_1", "Customer 1", "customer1@example.com")
    ]


def test_a_trial_that_ended_by_subscribing_is_billed_though_the_trial_job_was_not_there(world: World) -> None:
    north = a_payer(CREATED)
    automatic = {"mode": "trial_with_auto_subscription", "plan": "monthly"}
    store(
        an_account(
            north,
            plan=None,
            trial_ends_at=datetime(2023, 1, 14, 15, 30, tzinfo=UTC),
            subscription_default=automatic,
        )
    )
    world.now = PAYMENT_DAY

    run_month(world)

    [line] = lines(bills(north)[0])
    assert (line.days, line.of_days) == (10, 31)


def test_each_period_is_rated_at_the_prices_of_its_first_day(world: World) -> None:
    north = a_payer(CREATED)
    dearer = {**PRICES, "discount": "0"}
    store([*an_account(north, counts=100), priced(north, date(2023, 1, 25), dearer)])

    for month in (1, 2, 3):
        world.now = datetime(2023, month, 24, 2, tzinfo=UTC)
        run_month(world)

    assert [bill.net_minor for bill in bills(north)] == [18_000, 18_000, 30_000]


def test_a_price_that_is_set_while_a_bill_is_made_does_not_touch_it(world: World) -> None:
    north = a_payer(CREATED)
    store(record for number in range(150) for record in an_account(north, number))
    world.now = PAYMENT_DAY
    world.context = Context(milliseconds=0)
    for _ in range(4):
        world.deliver(WORKER, MONTHLY)
    store([priced(north, date(2022, 12, 23), PRICES | {"discount": "0"})])

    world.context = Context()
    run_month(world)

    assert [bill.net_minor for bill in bills(north)] == [150 * 180]


def test_the_bill_says_who_pays_and_with_which_tax_as_it_was_when_the_run_began(world: World) -> None:
    north = a_payer(CREATED, tax_id="LU123", address=["1 Main Street", "Luxembourg"])
    store(an_account(north))
    world.now = PAYMENT_DAY
    world.context = Context(milliseconds=0)
    world.deliver(WORKER, MONTHLY)
    answer = world.call(
        "operators.change_distributor",
        OPERATOR,
        path={"distributor_id": "dst_north"},
        body={"name": "Other Name", "tax_rate": "0.5"},
    )
    assert answer.status == 200, answer.text

    world.context = Context()
    run_month(world)

    [bill] = bills(north)
    assert bill.payer["name"] == "North Distribution"
    assert bill.payer["address"] == ["1 Main Street", "Luxembourg"]
    assert (bill.net_minor, bill.tax_minor) == (180, 31)


@pytest.mark.parametrize(
    ("method", "billed_as", "due_on"),
    [
        ("invoice", "invoice", date(2023, 2, 23)),
        ("credit_card", "credit_card", date(2023, 1, 31)),
        (None, "invoice", date(2023, 2, 23)),
    ],
)
def test_when_a_bill_is_due(world: World, method: str | None, billed_as: str, due_on: date) -> None:
    north = a_payer(CREATED, billing_method=method)
    store(an_account(north))
    world.now = PAYMENT_DAY

    run_month(world)

    [bill] = bills(north)
    assert (bill.bill_method, bill.issued_on, bill.due_on) == (billed_as, date(2023, 1, 24), due_on)


def test_a_method_chosen_while_the_bill_is_made_counts_from_the_next_bill_on(world: World) -> None:
    north = a_payer(CREATED)
    store(an_account(north))
    world.now = PAYMENT_DAY
    world.context = Context(milliseconds=0)
    world.deliver(WORKER, MONTHLY)
    path = {"distributor_id": "dst_north"}
    answer = world.call("operators.set_billing_method", OPERATOR, path=path, body={"method": "credit_card"})
    assert answer.status == 200, answer.text

    world.context = Context()
    run_month(world)
    world.now = datetime(2023, 2, 24, 2, tzinfo=UTC)
    run_month(world)

    assert [(bill.period_end_on.month, bill.bill_method) for bill in bills(north)] == [
        (1, "invoice"),
        (2, "credit_card"),
    ]
    check_books(north)


# Late


@pytest.mark.parametrize(("days", "issued"), [(0, 1), (3, 1), (35, 2)])
def test_a_late_run_catches_up_to_two_periods(world: World, days: int, issued: int) -> None:
    north = a_payer(CREATED)
    store(an_account(north))
    world.now = PAYMENT_DAY + timedelta(days=days)

    run_month(world)

    found = bills(north)
    assert [bill.state for bill in found] == ["issued"] * issued
    assert {bill.issued_on for bill in found} == {world.now.date()}
    assert {bill.due_on for bill in found} == {world.now.date() + timedelta(days=30)}
    assert [bill.reference for bill in found] == ["10001", "10002"][:issued]
    check_books(north)


def test_a_run_that_is_three_periods_late_charges_nothing_until_an_operator_releases_them(
    world: World,
) -> None:
    north = a_payer(CREATED)
    store(an_account(north))
    world.now = PAYMENT_DAY + timedelta(days=70)

    run_month(world)
    run_month(world)

    [parked] = waiting(world)
    assert parked["reasons"] == ["too_many_periods"]
    assert [(bill.state, bill.reference) for bill in bills(north)] == [("parked", None)]
    check_books(north)

    release(world, parked["parked_id"])

    assert waiting(world) == []
    assert [bill.state for bill in bills(north)] == ["issued"] * 3
    assert [bill.period_end_on.month for bill in bills(north)] == [1, 2, 3]
    check_books(north)


def test_many_periods_are_released_one_at_a_time(world: World) -> None:
    north = a_payer(CREATED)
    store(an_account(north))
    world.now = datetime(2023, 7, 1, 2, tzinfo=UTC)
    run_month(world)

    for already_issued in range(4):
        assert [bill.state for bill in bills(north)] == ["issued"] * already_issued + ["parked"]
        [parked] = waiting(world)
        release(world, parked["parked_id"])

    assert waiting(world) == []
    assert [bill.state for bill in bills(north)] == ["issued"] * 6
    check_books(north)


# In pieces


def test_a_run_goes_on_where_time_ran_short(world: World) -> None:
    north = a_payer(CREATED)
    store(
        record
        for number in range(250)
        for record in an_account(north, number, first_billed_on=date(2022, 7, 1))
    )
    world.now = PAYMENT_DAY
    world.context = Context(milliseconds=1_000)

    messages = run_month(world)

    assert messages > 6
    [bill] = bills(north)
    assert (bill.state, bill.net_minor) == ("issued", 250 * 180)
    check_books(north)


def test_between_any_two_steps_readers_see_no_bill_or_the_whole_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "ACCOUNTS_IN_A_PART", 10)
    north = a_payer(CREATED)
    store(record for number in range(35) for record in an_account(north, number))
    seen: list[list[int]] = []

    def write_and_look(staged: Any) -> None:
        write(staged)
        rows = world.call("billing.list_billing_history", administrator(north)).json["items"]
        seen.append([row["amount"]["minor"] for row in rows])
        for row in rows:
            path = {"reference": row["reference"]}
            statements = world.call("billing.list_statements", administrator(north), path=path).json["items"]
            assert [(each["accounts"], each["total"]) for each in statements] == [(35, row["amount"])]

    monkeypatch.setattr(consumer, "write", write_and_look)
    world.now = PAYMENT_DAY

    run_month(world)

    [bill] = bills(north)
    steps_before, steps_after = seen.count([]), seen.count([int(bill.total_minor)])
    assert seen == [[]] * steps_before + [[35 * 180 + round(35 * 180 * 0.17)]] * steps_after
    assert steps_before > 8 and steps_after > 35
    check_books(north)


def test_billing_an_account_costs_less_than_a_unit_to_write_and_one_and_a_half_to_read(
    world: World, harness: Harness
) -> None:
    north = a_payer(CREATED)
    long_ago = {"first_billed_on": date(2022, 7, 1)}
    store(record for number in range(300) for record in an_account(north, number, **long_ago))
    world.now = PAYMENT_DAY
    before = harness.counts.snapshot()

    run_month(world)

    cost = harness.counts.since(before)
    assert cost.total_write_units / 300 <= 1
    assert cost.total_read_units / 300 <= 1.5


# Guard rails


def test_a_bill_far_above_the_last_three_waits_for_an_operator(world: World) -> None:
    north = a_payer(date(2022, 10, 1))
    store(an_account(north, counts={EXCHANGE: [(date(2022, 1, 1), 1), (date(2023, 1, 20), 11)]}))
    for year, month in ((2022, 10), (2022, 11), (2022, 12), (2023, 1)):
        world.now = datetime(year, month, 24, 2, tzinfo=UTC)
        run_month(world)

    [parked] = waiting(world)
    assert parked["reasons"] == ["far_above_recent_bills"]
    assert (parked["amount"]["amount"], parked["kind"], parked["bill_state"]) == (
        "23.17",
        "monthly",
        "parked",
    )
    assert [bill.state for bill in bills(north)] == ["issued"] * 3 + ["parked"]
    check_books(north)

    released = release(world, parked["parked_id"])

    assert (released["state"], released["bill_state"], released["reference"]) == (
        "released",
        "issued",
        "10004",
    )
    assert released["released_by"] == OPERATOR.email
    check_books(north)


def test_a_service_without_a_price_stops_the_bill_until_it_has_one(world: World) -> None:
    north = a_payer(CREATED)
    since = date(2023, 1, 1)
    store(
        [*an_account(north, 1), *an_account(north, 2, counts={EXCHANGE: [(since, 1)], DROPBOX: [(since, 2)]})]
    )
    world.now = PAYMENT_DAY
    run_month(world)

    [parked] = waiting(world)
    assert parked["reasons"] == ["unpriced_service"]
    [bill] = bills(north)
    assert outcomes(bill) == {"acc_000001": "billed", "acc_000002": "parked"}

    release(world, parked["parked_id"])
    [parked_again] = waiting(world)
    assert parked_again["parked_id"] != parked["parked_id"]

    with_dropbox = {
        **PRICES["services"],
        EXCHANGE: {"monthly": "9.00", "annual": "9.00"},
        DROPBOX: {"monthly": "1.00", "annual": "10.00"},
    }
    store([priced(north, PAYMENT_DAY.date(), {**PRICES, "services": with_dropbox})])
    release(world, parked_again["parked_id"])

    [bill] = bills(north)
    assert bill.state == "issued"
    assert [(line.service, line.amount) for line in lines(bill)] == [
        (EXCHANGE, 180),
        (DROPBOX, 120),
        (EXCHANGE, 180),
    ]
    assert bill.net_minor == 480
    check_books(north)


def test_without_any_prices_a_period_is_billed_only_if_something_was_used(world: World) -> None:
    north, south = a_payer(CREATED, prices=None), a_payer(CREATED, "south", prices=None)
    store([*an_account(north, 1, counts=0), *an_account(south, 2)])
    world.now = PAYMENT_DAY

    run_month(world)

    assert [bills(node)[0].state for node in (north, south)] == ["nothing_to_bill", "parked"]


def test_a_partner_that_was_removed_before_the_last_bill_is_still_named_on_it(world: World) -> None:
    distributor = a_distributor(world, an_email(), payment_day=24, prices=PRICES)
    partner = a_partner(world, distributor, an_email(), name="Halyard")
    account = an_account_of(
        world, partner, subscription={"mode": "subscription_without_trial", "plan": "monthly"}
    )
    report(world, changed(account, a_backup_task(world, account), on(10)))
    world.now = datetime(2023, 1, 15, 12, tzinfo=UTC)
    approved = {"approve_data_removal": True}
    path = {"account_id": account.account}
    world.call("accounts.remove_account", administrator(partner), path=path, body=approved)
    report(world, event(account, "purge.completed", on(15, 12)))
    world.run("accounts.run_purge")
    world.work("accounts.on_purge", "Purge")
    removed = world.call(
        "partners.remove_partner", administrator(distributor), path={"partner_id": partner.partner}
    )
    assert removed.status == 204
    world.now = PAYMENT_DAY

    run_month(world)

    [bill] = bills(distributor)
    assert bill.state == "issued"
    [part] = list_parts(EVERYTHING, bill)
    assert part.partners == {partner.partner: {"name": "Halyard", "code": partner.partner}}
