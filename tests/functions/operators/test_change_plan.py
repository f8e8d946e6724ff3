from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal.accounts.records import find_renewal
from portal.billing.plan_changing import PlanChanging, load, writes
from portal.change import Change
from portal.scope import EVERYTHING
from portal.subscriptions.plan_changes import DayIsBilled
from portal.table import Contended, Update, stage, write
from portal.tree import VENDOR, Node
from tests.books import (
    DROPBOX,
    a_payer,
    an_account,
    bills,
    check_books,
    lines,
    midnight,
    node_of,
    run_month,
    run_year,
    store,
)
from tests.builders import an_account as a_customer
from tests.builders import audit_trail, confirm, deliver_mail, the_account
from tests.support import Harness
from tests.world import OPERATOR, Answer, World, administrator

NOW = datetime(2023, 2, 3, 12, tzinfo=UTC)


@pytest.fixture
def north(world: World) -> Node:
    """Accounts 1 (monthly, 2 mailboxes) and 2 (annual since 12 January, 3 mailboxes), before the second bill."""
    north, at = a_payer(date(2022, 12, 1)), {"created_at": midnight(date(2022, 12, 1))}
    annual = an_account(north, 2, counts=3, plan="annual", subscribed_on=date(2023, 1, 12), **at)
    store([*an_account(north, 1, counts=2, subscribed_on=date(2022, 12, 24), **at), *annual])
    for day in (date(2022, 12, 24), date(2023, 1, 12), date(2023, 1, 24)):
        world.now = midnight(day)
        run_month(world)
        run_year(world)
    world.now = NOW
    return north


def put(world: World, account: Node, plan: object, **body: object) -> Answer:
    path = {"account_id": account.account}
    return world.call("operators.change_plan", OPERATOR, path=path, body={"plan": plan, **body})


def state(account: Node) -> Any:
    renewal = find_renewal(EVERYTHING, account)
    due_at = renewal.due_at if renewal else None
    return the_account(account).plan_changes, due_at and due_at.date().isoformat()


def test_to_annual_says_what_is_billed_when_and_that_is_what_is_billed(world: World, north: Node) -> None:
    answer = put(world, node_of(north), "annual")
    assert answer.status == 200, answer.text
    assert answer.json["spans"] == [
        {"plan": "monthly", "start": "2022-12-24", "end": "2023-02-03"},
        {"plan": "annual", "start": "2023-02-03", "end": None},
    ]
    assert (answer.json["plan"], answer.json["renewal_date"]) == ("annual", "2024-02-03")
    quote = answer.json["quote"]
    assert (quote["plan"], quote["effective_on"]) == ("annual", "2023-02-03")
    assert [
        (
            each["kind"],
            each["billed_on"],
            each["period_start"],
            each["net"]["amount"],
            each["total"]["amount"],
        )
        for each in quote["charges"]
    ] == [
        ("monthly", "2023-02-24", "2023-01-24", "1.16", "1.36"),
        ("annual", "2023-02-03", "2023-02-03", "36.00", "42.12"),
    ]

    run_year(world)
    world.now = midnight(date(2023, 2, 24))
    run_month(world)
    *_, invoice, month = [bill for bill in bills(north) if bill.reference]
    of_account = [line for line in lines(month) if line.account_id == "acc_000001"]
    assert [(line.kind, line.days, line.of_days, line.amount) for line in of_account] == [
        ("monthly", 10, 31, 116)
    ]
    assert (invoice.account_id, invoice.period_start_on, invoice.total_minor) == (
        "acc_000001",
        NOW.date(),
        4212,
    )
    check_books(north)


def test_to_monthly_is_at_the_end_of_the_term_that_is_paid(world: World, north: Node) -> None:
    answer = put(world, node_of(north, 2), "monthly")
    assert (answer.json["plan"], answer.json["upcoming_change"]) == (
        "annual",
        {"plan": "monthly", "effective_on": "2024-01-12"},
    )
    [charge] = answer.json["quote"]["charges"]
    assert (charge["kind"], charge["billed_on"], charge["net"]["amount"]) == ("monthly", "2024-01-24", "2.09")
    path = {"account_id": "acc_000002"}
    shown = world.call("subscriptions.get_subscription", administrator(north), path=path).json
    assert shown["upcoming_change"] == {"plan": "monthly", "effective_on": "2024-01-12"}
    assert (shown["plan"], shown["renewal_date"]) == ("annual", "2024-01-12")


def test_a_change_to_come_is_taken_back_and_the_invoice_with_it(world: World, north: Node) -> None:
    node = node_of(north)
    put(world, node, "annual", effective_on="2023-03-10")
    assert state(node) == ([{"plan": "annual", "on": "2023-03-10"}], "2023-03-10")
    put(world, node, "annual", effective_on="2023-05-01")
    assert state(node) == ([{"plan": "annual", "on": "2023-05-01"}], "2023-05-01")
    answer = put(world, node, "monthly")
    assert (answer.json["upcoming_change"], answer.json["quote"]) == (None, None)
    assert state(node) == (None, None)

    put(world, node_of(north, 2), "monthly")
    put(world, node_of(north, 2), "annual")
    assert state(node_of(north, 2)) == (None, "2024-01-12")


def test_it_is_audited_once_on_both_sides(world: World, north: Node) -> None:
    email = the_account(node_of(north)).email
    for _ in range(2):
        put(world, node_of(north), "annual", effective_on="2023-03-10")
    for _ in range(2):
        put(world, node_of(north), "monthly")
    said = [
        ("subscribed to plan", f"Changed {email} to the annual plan from 2023-03-10 on"),
        ("subscribed to plan", f"Kept {email} on the monthly plan: took back the change from 2023-03-10 on"),
    ]
    for node in (VENDOR, north):
        assert [entry for entry in audit_trail(node) if email in entry[1]] == said


def test_who_gets_the_bills_is_told_once(world: World, north: Node) -> None:
    body = {"email": "bills@north.example.com", "name": "Bo", "role": "administrator"}
    assert world.call("identity.create_user", administrator(north), body=body).status == 201
    deliver_mail(world)
    confirm(world, "bills@north.example.com")
    for _ in range(2):
        put(world, node_of(north), "annual", effective_on="2023-03-10")
    put(world, node_of(north), "monthly")
    mails = [mail for mail in deliver_mail(world) if mail.to == "bills@north.example.com"]
    assert [mail.subject for mail in mails] == ["The plan of Customer 1"] * 2
    assert "is on the annual plan from 2023-03-10 on" in mails[0].text
    assert "stays on the monthly plan" in mails[1].text


def test_bad_input_changes_nothing(world: World, north: Node) -> None:
    monthly, annual = node_of(north), node_of(north, 2)
    before = [state(each) for each in (monthly, annual)]
    for body in ({"plan": "weekly"}, {"plan": None}, {}, {"plan": "annual", "price": 1}):
        path = {"account_id": monthly.account}
        assert world.call("operators.change_plan", OPERATOR, path=path, body=body).status == 400
    for on in ("2023-02-02", "2024-02-04", "yesterday", "2023-02-30", 7, ""):
        assert put(world, monthly, "annual", effective_on=on).status == 400, on
    for on in ("2023-02-03", "2023-06-01", "2024-01-11", "2024-01-13", "2025-01-12"):
        answer = put(world, annual, "monthly", effective_on=on)
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, "effective_on"), on
    assert put(world, Node("dst_north", "direct", "acc_unknown"), "annual").code == "not_found"
    for node in (north, north.child("prt_1"), monthly):
        caller, path = administrator(node), {"account_id": monthly.account}
        answer = world.call("operators.change_plan", caller, path=path, body={"plan": "annual"})
        assert answer.status == 403
    assert [state(each) for each in (monthly, annual)] == before


def test_trials_and_accounts_that_end_have_no_plan_to_change(world: World, north: Node) -> None:
    trial = a_customer(world, north)
    by_itself = a_customer(
        world, north, subscription={"mode": "trial_with_auto_subscription", "plan": "monthly"}
    )
    for node in (trial, by_itself):
        assert (put(world, node, "annual").status, put(world, node, "annual").code) == (409, "not_subscribed")
    path, approved = {"account_id": node_of(north).account}, {"approve_data_removal": True}
    world.call("accounts.remove_account", administrator(north), path=path, body=approved)
    for plan in ("monthly", "annual"):
        assert put(world, node_of(north), plan).code == "removal_pending"
    write([stage(Update(the_account(node_of(north)), Change(state="removed")))])
    assert put(world, node_of(north), "annual").code == "not_found"

    world.advance(days=15)
    assert put(world, trial, "annual").code == "not_subscribed"
    answer = put(world, by_itself, "annual")
    assert [(each["plan"], each["start"]) for each in answer.json["spans"]] == [
        ("monthly", "2023-02-17"),
        ("annual", "2023-02-18"),
    ]
    assert the_account(by_itself).state == "subscribed"
    email = the_account(by_itself).email
    assert [said for _, said in audit_trail(north) if email in said and "plan" in said] == [
        f"Changed {email} to the annual plan from 2023-02-18 on",
        f"Subscribed {email} to the monthly plan",
    ]


def test_a_trial_that_has_subscribed_itself_annually_unnoticed_is_still_invoiced(
    world: World, north: Node
) -> None:
    by_itself = a_customer(
        world, north, subscription={"mode": "trial_with_auto_subscription", "plan": "annual"}
    )
    world.advance(days=15)
    answer = put(world, by_itself, "monthly")
    assert answer.json["upcoming_change"] == {"plan": "monthly", "effective_on": "2024-02-17"}
    assert state(by_itself)[1] == "2023-02-17"


def test_without_a_price_it_says_so_and_is_done_all_the_same(world: World, north: Node) -> None:
    at = {"created_at": midnight(date(2022, 12, 1))}
    store(an_account(north, 3, counts={DROPBOX: [(date(2023, 1, 1), 1)]}, **at))
    answer = put(world, node_of(north, 3), "annual")
    assert [each["total"] for each in answer.json["quote"]["charges"]] == [None, None]
    assert answer.json["plan"] == "annual"


def decided(node: Node, plan: Any, now: datetime) -> PlanChanging:
    """What an operation decides at an instant; it is made later."""
    return load(EVERYTHING, node.account, plan, None, now)


def make(changing: PlanChanging, now: datetime) -> None:
    write([stage(each) for each in writes(changing, now)])


def test_whoever_began_before_midnight_does_not_change_what_the_runs_of_the_new_day_have_billed(
    world: World, north: Node
) -> None:
    eve = datetime(2023, 2, 23, 23, 59, 59, tzinfo=UTC)
    changing = decided(node_of(north), "annual", eve)
    world.now = midnight(date(2023, 2, 24))
    run_month(world)
    with pytest.raises(Contended):
        make(changing, eve)
    with pytest.raises(DayIsBilled):
        decided(node_of(north), "annual", eve)
    make(decided(node_of(north), "annual", world.now), world.now)

    eve = datetime(2024, 1, 11, 23, 59, 59, tzinfo=UTC)
    changing = decided(node_of(north, 2), "monthly", eve)
    world.now = midnight(date(2024, 1, 12))
    run_year(world)
    with pytest.raises(Contended):
        make(changing, eve)
    again = decided(node_of(north, 2), "monthly", eve)
    assert again.span is not None
    assert again.span.start == date(2025, 1, 12)


@pytest.mark.races
def test_a_term_is_invoiced_or_not_begun_whoever_comes_first(
    world: World, north: Node, harness: Harness
) -> None:
    """A change that was asked for a second before midnight, and the annual run just after."""
    node, eve = node_of(north, 2), datetime(2024, 1, 11, 23, 59, 59, tzinfo=UTC)
    world.now = midnight(date(2024, 1, 12))
    start, known = harness.snapshot(), len(bills(north))

    def change() -> None:
        make(decided(node, "monthly", eve), eve)

    def invoice() -> None:
        world.deliver("billing.on_billing_due", {"kind": "annual", "account": str(node)})

    seen = set()
    for seed in range(8):
        harness.restore(start)
        harness.run_together([invoice, change], seed=seed)
        invoiced = any(bill.account_id == node.account for bill in bills(north)[known:])
        changes = the_account(node).plan_changes or []
        assert changes == [] or changes[0]["on"] == ("2025-01-12" if invoiced else "2024-01-12")
        seen.add((invoiced, bool(changes)))
    assert len(seen) > 1


@pytest.mark.money
def test_whatever_fails_it_is_done_once_and_whole(world: World, north: Node, harness: Harness) -> None:
    node, runs = node_of(north), 0
    for run in harness.sweep(lambda: put(world, node, "annual", effective_on="2023-03-10")):
        assert state(node) in [(None, None), ([{"plan": "annual", "on": "2023-03-10"}], "2023-03-10")], run
        world.advance(minutes=1)
        assert put(world, node, "annual", effective_on="2023-03-10").status == 200
        assert state(node) == ([{"plan": "annual", "on": "2023-03-10"}], "2023-03-10")
        assert len([said for _, said in audit_trail(VENDOR) if "annual plan" in said]) == 1, run
        runs += 1
    assert runs > 20


@pytest.mark.races
def test_of_many_at_once_one_does_it(world: World, north: Node, harness: Harness) -> None:
    node, later = node_of(north), (NOW.date() + timedelta(days=40)).isoformat()
    start = harness.snapshot()
    outcomes = harness.run_at_once(32, lambda: put(world, node, "annual", effective_on=later).status)
    assert {outcome.get() for outcome in outcomes} <= {200, 409}
    assert state(node) == ([{"plan": "annual", "on": later}], later)
    assert len([said for _, said in audit_trail(VENDOR) if "annual plan" in said]) == 1
    harness.restore(start)
    harness.run_together(
        [lambda: put(world, node, "annual").status]
        + [lambda: put(world, node, "annual", effective_on=later).status] * 3
        + [lambda: run_month(world), lambda: run_year(world)]
    )
    changes, due_on = state(node)
    assert [each["on"] for each in changes] in (["2023-02-03"], [later])
    assert due_on in ("2023-02-03", "2024-02-03", later)
    check_books(north)
