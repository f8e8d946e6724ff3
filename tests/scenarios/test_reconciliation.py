"""Every night the books are compared with what must be true of them: sound ones are left alone, each corruption is found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal import clock, ids, keys
from portal.accounts.records import Account, DirectoryEntry, Renewal
from portal.billing.holds import find_hold
from portal.billing.records import (
    Bill,
    BillPart,
    BillReference,
    LedgerEntry,
    Payment,
    bill_key,
    find_sequence,
    list_credit_notes,
    list_ledger,
    list_parts,
    list_payments,
)
from portal.distributors.records import get_schedule
from portal.operators.records import list_parked
from portal.payments.records import Charge, find_credit_balance
from portal.scope import EVERYTHING
from portal.subscriptions.rules import TRIAL
from portal.table import Item, find, query
from portal.tree import VENDOR, Node
from tests.books import (
    EXCHANGE,
    a_payer,
    an_account,
    bills,
    check_books,
    midnight,
    node_of,
    outbox,
    run_month,
    run_overdue,
    run_year,
    store,
)
from tests.builders import a_user_of
from tests.builders import an_account as an_account_of
from tests.payers import a_card, a_customer, pay, run_charges
from tests.support import FakeStripe, Harness
from tests.support.fixtures import SEED
from tests.support.swift import Swift
from tests.world import OPERATOR, Context, World, administrator

CREATED = date(2022, 12, 26)
NORTH, SOUTH = Node("dst_north"), Node("dst_south")
NIGHT = datetime(2023, 4, 26, 4, 30, tzinfo=UTC)
WORKER = "billing.on_reconciliation_due"
Found = set[tuple[str, str]]
NIGHTS = [date(2022, 12, 28)] + [
    date(2023, month, day)
    for month, day in (
        (1, 12), (1, 24), (1, 26), (1, 31), (2, 12), (2, 24), (2, 28), (3, 24), (3, 26), (3, 31), (4, 24), (4, 26),
    )
]  # fmt: skip
"""Those on which there is something to do."""


@dataclass
class Table:
    """A busy table, to which every test comes back."""

    world: World
    harness: Harness
    stripe: FakeStripe
    state: Any


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    from portal.adapters.stripe import _client

    _client.cache_clear()
    harness = Harness(seed=SEED, measuring=False)
    with harness, clock.override(harness.clock), ids.override(harness.ids):
        stripe = FakeStripe(harness.clock)
        harness.serve("api.stripe.com", stripe)
        harness.clock.set(midnight(CREATED))
        with Swift.on(harness), World.made(harness.clock) as world:
            harness.keep(world)
            live(world, stripe)
            yield Table(world, harness, stripe, harness.snapshot())
    harness.verify()


@pytest.fixture
def world(table: Table) -> Iterator[World]:
    table.harness.restore(table.state)
    yield table.world
    assert table.stripe.broken == []


def live(world: World, stripe: FakeStripe) -> None:
    """Four months of two distributors: one pays its bills by bank transfer, more or less, the other by card."""
    since = {"created_at": midnight(CREATED)}
    a_payer(CREATED)
    a_payer(CREATED, "south", billing_method="credit_card", payment_day=31)
    grown = {EXCHANGE: [(CREATED, 3), (date(2023, 2, 20), 5)]}
    many = {EXCHANGE: [(CREATED, 40), (date(2023, 4, 10), 4_000)]}
    store(
        [
            *an_account(NORTH, 1, counts=many, subscribed_on=date(2022, 12, 27), **since),
            *an_account(NORTH, 2, counts=20, subscribed_on=date(2022, 12, 26), **since),
            *an_account(NORTH, 3, plan="annual", counts=grown, subscribed_on=date(2022, 12, 28), **since),
            *an_account(NORTH, 4, plan="annual", counts=2, subscribed_on=date(2023, 1, 12), **since),
        ]
    )
    first_billed = {"first_billed_on": date(2022, 12, 31)}
    for number in range(1, 4):
        store(an_account(SOUTH, number, subscribed_on=date(2022, 12, 28), **since, **first_billed))
    a_card(world, stripe, SOUTH)
    a_user_of(world, VENDOR, by=OPERATOR)
    for night in NIGHTS:
        a_night(world, night)
        by_day(world, night)


def a_night(world: World, on: date) -> None:
    world.now = midnight(on) + timedelta(hours=1)
    world.run("subscriptions.run_trials")
    world.work("subscriptions.on_trial_due", "Trials")
    world.now = midnight(on) + timedelta(hours=2)
    run_month(world)
    run_year(world)
    pay(world)
    run_charges(world)
    run_overdue(world)


def by_day(world: World, on: date) -> None:
    """What people do, after the night's jobs."""
    world.now = midnight(on) + timedelta(hours=10)
    north = administrator(NORTH)
    match on:
        case date(month=1, day=12):
            for mode in ({}, {"mode": "trial_with_auto_subscription", "plan": "monthly"}):
                an_account_of(world, NORTH, **({"subscription": mode} if mode else {}))
            subscribed = an_account_of(world, NORTH)
            body = {"accounts": [subscribed.account], "plan": "monthly"}
            assert world.call("subscriptions.subscribe_accounts", north, body=body).status == 200
        case date(month=1, day=26):
            receive(world, reference_of(NORTH, date(2023, 1, 24)), "20.00", on)
            receive(world, reference_of(NORTH, date(2023, 1, 24)), "200.00", on, excess="keep")
        case date(month=2, day=12):
            path = {"account_id": "acc_000002"}
            answer = world.call(
                "accounts.remove_account", north, path=path, body={"approve_data_removal": True}
            )
            assert answer.status in (200, 202, 204), answer.text
        case date(month=3, day=26):
            line = {"account_id": "acc_000001", "service": EXCHANGE, "quantity": 30}
            path = {"reference": reference_of(NORTH, date(2023, 3, 24))}
            for body in ({"lines": [line]}, {"all": True}):
                answer = world.call(
                    "operators.create_credit_note", OPERATOR, path=path, body={"reason": "Too much", **body}
                )
                assert answer.status == 201, answer.text
        case date(month=4, day=24):
            (row,) = world.call("operators.list_parked", OPERATOR).json["items"]
            assert row["reasons"] == ["far_above_recent_bills"]
            release(world, row["parked_id"])
            an_account_of(world, NORTH)
    pay(world)


def release(world: World, parked_id: str) -> None:
    answer = world.call("operators.release_parked", OPERATOR, path={"parked_id": parked_id})
    assert answer.status == 200, answer.text


def reference_of(distributor: Node, period_end_on: date) -> str:
    return monthly(distributor, period_end_on).reference


def monthly(distributor: Node, period_end_on: date) -> Bill:
    (found,) = (
        bill
        for bill in bills(distributor)
        if bill.bill_kind == "monthly" and bill.period_end_on == period_end_on
    )
    return found


def receive(world: World, reference: str, amount: str, on: date, **more: str) -> None:
    body = {"amount": amount, "currency": "USD", "received_on": on.isoformat(), **more}
    answer = world.call("operators.record_payment", OPERATOR, path={"reference": reference}, body=body)
    assert answer.status == 201, answer.text


def reconcile(world: World, *of: str, full: bool = True) -> Found:
    """Go through these books, or everybody's; what is found, as operators see it."""
    world.now = NIGHT
    for each in of or ("", "dst_north", "dst_south"):
        world.deliver(WORKER, {"distributor_id": each, "full": full})
        world.work(WORKER, "Reconciliation")
    return seen(world)


def seen(world: World) -> Found:
    return {(found["invariant"], found["about"]) for row in parked(world) for found in row["findings"]}


def parked(world: World) -> list[dict[str, Any]]:
    answer = world.call("operators.list_parked", OPERATOR)
    assert answer.status == 200, answer.text
    return [row for row in answer.json["items"] if row["kind"] == "books"]


def test_sound_books_are_left_alone(world: World, table: Table) -> None:
    check_books(NORTH, SOUTH)
    states = {bill.state for bill in (*bills(NORTH), *bills(SOUTH))}
    assert states >= {"issued", "overdue", "paid", "credited"}, states
    before = table.harness.items()

    assert reconcile(world, full=True) == set()
    assert reconcile(world, full=False) == set()
    world.run("billing.run_reconciliation")
    assert world.work(WORKER, "Reconciliation") == 3

    assert table.harness.items() == before


# What is wrong


def spoil(record: Item | None, **values: Any) -> None:
    """Write into a record what no operation would."""
    assert record is not None
    for name, value in values.items():
        setattr(record, name, value)
    record.index()
    record.save()


def lose(record: Item | None) -> None:
    assert record is not None
    record.delete()


def bill_of(distributor: Node, month: int) -> Bill:
    return monthly(distributor, date(2023, month, 24) if distributor == NORTH else south_ends(month))


def south_ends(month: int) -> date:
    return date(2023, month, {1: 31, 2: 28, 3: 31}[month])


def account(number: int, distributor: Node = NORTH) -> Account:
    found = find(Account, keys.node(node_of(distributor, number)), keys.NODE)
    assert found is not None
    return found


def first_part(bill: Bill) -> BillPart:
    return next(iter(list_parts(EVERYTHING, bill)))


def entry_of(bill: Bill) -> LedgerEntry:
    """That it was issued."""
    return next(each for each in list_ledger(EVERYTHING, bill.node) if each.document == bill.reference)


def a_second_bill_of_a_period() -> Found:
    bill = bill_of(NORTH, 2)
    other = bill_key("monthly", bill.period_end_on, "credit_card")
    copied = {name: getattr(bill, name) for name in ("bill_kind", "currency", "payer", "prices", "tax_rate")}
    period = {"period_start_on": bill.period_start_on, "period_end_on": bill.period_end_on}
    store([Bill(bill.pk, other, bill_method="credit_card", state="nothing_to_bill", **period, **copied)])
    return {("B1", f"bill {bill.reference}")}


def a_bill_under_another_key() -> Found:
    bill = bill_of(NORTH, 2)
    spoil(bill, bill_method="credit_card")
    return {
        ("B1", f"bill {bill.reference}"),
        ("B5", f"bill {bill.reference}"),
        ("B6", f"bill {bill.reference}"),
    }


def a_number_of_two_bills() -> Found:
    bill, other = bill_of(NORTH, 2), bill_of(NORTH, 3)
    spoil(find(BillReference, keys.node(NORTH), keys.reference(bill.reference)), bill_sk=other.sk)
    return {("B1", f"bill {bill.reference}")}


def a_number_that_leads_nowhere() -> Found:
    reference = bill_of(SOUTH, 2).reference
    lose(find(BillReference, *keys.reference_path(reference)))
    return {("B1", f"bill {reference}"), ("B1", f"number {reference}")}


def a_number_on_no_bill() -> Found:
    sequence = find_sequence("bills")
    spoil(sequence, last=sequence.last + 1)
    return {("B1", f"number {sequence.last}")}


def an_account_that_no_roster_knows() -> Found:
    store(an_account(SOUTH, 999, created_at=midnight(CREATED), subscribed_on=date(2022, 12, 28)))
    return {("B2", f"bill {bill.reference}") for bill in bills(SOUTH)}


def an_account_twice_on_a_roster() -> Found:
    bill = bill_of(SOUTH, 2)
    part = first_part(bill)
    spoil(part, roster=[part.roster[0], *part.roster])
    return {("B2", f"bill {bill.reference}"), ("B5", f"bill {bill.reference}")}


def a_period_that_nobody_bills() -> Found:
    spoil(get_schedule(EVERYTHING, NORTH, "monthly"), due_at=datetime(2023, 6, 24, tzinfo=UTC))
    return {("B2", "monthly bills")}


def a_term_that_nobody_invoices() -> Found:
    spoil(find(Renewal, keys.node(node_of(NORTH, 3)), keys.RENEWAL), due_at=None)
    return {("B2", "account acc_000003")}


def a_total_that_is_not_its_lines() -> Found:
    bill = bill_of(NORTH, 4)
    spoil(bill, total_minor=bill.total_minor + 1)
    return {(invariant, f"bill {bill.reference}") for invariant in ("B3", "B5", "B7")}


def a_bill_booked_with_less_tax() -> Found:
    bill = bill_of(NORTH, 2)
    entry = entry_of(bill)
    booked = dict(entry.postings)
    spoil(entry, postings=[*(booked | {"revenue": booked["revenue"] - 1, "tax": booked["tax"] + 1}).items()])
    return {("B3", f"bill {bill.reference}")}


def a_credit_that_is_no_note() -> Found:
    bill = bill_of(NORTH, 3)
    note = next(list_credit_notes(EVERYTHING, NORTH, bill.reference))
    lose(note)
    return {("B3", f"bill {bill.reference}")}


def a_payment_that_is_gone() -> Found:
    bill = bill_of(NORTH, 1)
    lose(next(list_payments(EVERYTHING, bill)))
    return {("B4", f"bill {bill.reference}"), ("B7", f"bill {bill.reference}")}


def less_at_the_provider(stripe: FakeStripe) -> Found:
    bill = bill_of(SOUTH, 3)
    (intent,) = stripe.successes(bill.reference)
    stripe.get(intent["id"])["amount_received"] -= 1
    return {("B4", f"bill {bill.reference}")}


def more_at_the_provider(world: World, stripe: FakeStripe) -> Found:
    bill = bill_of(SOUTH, 3)
    metadata = {"reference": bill.reference, "distributor_id": "dst_south", "paid_by": "credit_card"}
    stripe.succeed(
        stripe.make_intent(int(bill.total_minor), "USD", a_customer(world, stripe, SOUTH), metadata)
    )
    return {("B4", f"bill {bill.reference}")}


def a_name_on_an_issued_bill() -> Found:
    bill = bill_of(SOUTH, 3)
    part = first_part(bill)
    spoil(part, roster=[part.roster[0] | {"name": "Somebody else"}, *part.roster[1:]])
    return {("B5", f"bill {bill.reference}")}


def a_payer_of_an_issued_invoice() -> Found:
    bill = next(bill for bill in bills(NORTH) if bill.bill_kind == "annual")
    spoil(bill, payer=bill.payer | {"name": "Somebody else"})
    return {("B5", f"bill {bill.reference}")}


def a_reason_of_a_credit_note() -> Found:
    note = next(list_credit_notes(EVERYTHING, NORTH))
    spoil(note, reason="Another one")
    return {("B5", f"credit note {note.reference}")}


def a_bill_that_does_not_become_overdue() -> Found:
    bill = next(bill for bill in bills(NORTH) if bill.state == "overdue")
    spoil(bill, state="issued", look_at=datetime(2023, 3, 1, tzinfo=UTC))
    return {("B6", f"bill {bill.reference}")}


def an_open_bill_that_is_paid() -> Found:
    bill = bill_of(NORTH, 4)
    spoil(bill, state="paid", look_at=None)
    return {("B6", f"bill {bill.reference}")}


def postings_that_are_not_zero() -> Found:
    bill = bill_of(NORTH, 2)
    entry = entry_of(bill)
    spoil(entry, postings=[*entry.postings, ["bank", 1]])
    return {("B7", f"entry {entry.sk}"), ("B7", f"bill {bill.reference}")}


def an_entry_of_no_document() -> Found:
    key = keys.node(NORTH), keys.ledger(datetime(2023, 4, 1, tzinfo=UTC), "led_lost")
    store([LedgerEntry(*key, postings=[["bank", 5], ["revenue", -5]], currency="USD", document="99999")])
    return {("B7", f"entry {key[1]}")}


def a_credit_balance_of_nobody() -> Found:
    balance = find_credit_balance(EVERYTHING, NORTH)
    spoil(balance, amount_minor=balance.amount_minor + 1)
    return {("B7", "credit balance")}


def a_term_from_another_day() -> Found:
    spoil(find(Renewal, keys.node(node_of(NORTH, 4)), keys.RENEWAL), term_start_on=date(2023, 1, 13))
    return {("B8", "account acc_000004")}


def a_payment_day_that_moved() -> Found:
    schedule = get_schedule(EVERYTHING, NORTH, "monthly")
    spoil(schedule, due_at=schedule.due_at + timedelta(days=1))
    return {("B8", "monthly bills")}


def a_second_trial() -> Found:
    found = next(each for each in trials() if each.state == "subscribed")
    spoil(found, trial_ends_at=NIGHT + TRIAL)
    return {("B8", f"account {found.account_id}")}


def days_after_the_end() -> Found:
    spoil(account(1), state="removal_pending", ended_on=date(2023, 2, 1))
    return {("B9", f"bill {bill_of(NORTH, month).reference}") for month in (2, 3, 4)}


def mail_after_the_end() -> Found:
    spoil(account(2), lifecycle="trial", lifecycle_at=NIGHT)
    return {("B9", "account acc_000002")}


def a_charge_that_nobody_looks_up() -> Found:
    bill = bill_of(NORTH, 4)
    key = keys.bill_parts(NORTH, bill.sk), keys.CHARGE
    store([Charge(*key, state="asked", attempts=1, begun_at=NIGHT, asked_at=NIGHT, amount_minor=5)])
    return {("B10", f"bill {bill.reference}")}


def a_payment_for_a_parked_bill() -> Found:
    bill, start, end = bill_of(NORTH, 4), date(2023, 4, 24), date(2023, 5, 24)
    copied = {name: getattr(bill, name) for name in ("bill_kind", "currency", "payer", "prices", "tax_rate")}
    values = {"bill_method": "invoice", "state": "parked", "parked_because": ["negative_line"]}
    sk = bill_key("monthly", end, "invoice")
    payment = {"payment_id": "pay_1", "amount_minor": 5, "currency": "USD", "received_on": end}
    where = keys.bill_parts(NORTH, sk), keys.payment("pay_1")
    store(
        [
            Bill(bill.pk, sk, period_start_on=start, period_end_on=end, **values, **copied),
            Payment(*where, paid_by="bank_transfer", receipt="1-1", **payment),
        ]
    )
    return {("B11", f"monthly bill for {start} to {end}")}


def a_bill_past_its_guard_rail() -> Found:
    bill = bill_of(NORTH, 4)
    spoil(bill, parked_because=None)
    return {("B11", f"bill {bill.reference}")}


def an_account_subscribed_twice() -> Found:
    spoil(account(1), subscribed_on=date(2023, 3, 10))
    billed = {("B12", f"bill {bill_of(NORTH, month).reference}") for month in (1, 2, 3)}
    return {("B12", "account acc_000001")} | billed


def a_trial_with_a_day_of_subscribing() -> Found:
    found = next(each for each in trials() if each.state == "trial")
    spoil(found, subscribed_on=date(2023, 4, 1), plan="monthly")
    return {("B12", f"account {found.account_id}")}


def trials() -> Iterator[Account]:
    """Accounts that began on trial."""
    for entry in query(DirectoryEntry, keys.node(NORTH), keys.directory()):
        found = find(Account, keys.node(entry.account_node), keys.NODE)
        if found is not None and found.trial_ends_at is not None:
            yield found


Spoiling = Callable[[], Found]
SPOILED: tuple[Spoiling, ...] = (
    a_second_bill_of_a_period,
    a_bill_under_another_key,
    a_number_of_two_bills,
    a_number_that_leads_nowhere,
    a_number_on_no_bill,
    an_account_that_no_roster_knows,
    an_account_twice_on_a_roster,
    a_period_that_nobody_bills,
    a_term_that_nobody_invoices,
    a_total_that_is_not_its_lines,
    a_bill_booked_with_less_tax,
    a_credit_that_is_no_note,
    a_payment_that_is_gone,
    a_name_on_an_issued_bill,
    a_payer_of_an_issued_invoice,
    a_reason_of_a_credit_note,
    a_bill_that_does_not_become_overdue,
    an_open_bill_that_is_paid,
    postings_that_are_not_zero,
    an_entry_of_no_document,
    a_credit_balance_of_nobody,
    a_term_from_another_day,
    a_payment_day_that_moved,
    a_second_trial,
    days_after_the_end,
    mail_after_the_end,
    a_charge_that_nobody_looks_up,
    a_payment_for_a_parked_bill,
    a_bill_past_its_guard_rail,
    an_account_subscribed_twice,
    a_trial_with_a_day_of_subscribing,
)


OF_THE_SOUTH = (
    a_number_that_leads_nowhere,
    an_account_that_no_roster_knows,
    an_account_twice_on_a_roster,
    a_name_on_an_issued_bill,
)


@pytest.mark.parametrize("spoiling", SPOILED, ids=lambda each: each.__name__)
def test_what_is_wrong_is_found_and_nothing_else(world: World, spoiling: Spoiling) -> None:
    wrong = spoiling()

    assert reconcile(world, "", "dst_south" if spoiling in OF_THE_SOUTH else "dst_north") == wrong


def test_what_the_provider_has_taken_in_is_what_is_recorded(world: World, table: Table) -> None:
    wrong = less_at_the_provider(table.stripe)
    assert reconcile(world, "dst_south") == wrong

    table.harness.restore(table.state)
    wrong = more_at_the_provider(world, table.stripe)
    assert reconcile(world, "dst_south", full=False) == wrong


# What follows


def test_who_is_held_is_neither_billed_nor_charged_nor_reminded(world: World) -> None:
    wrong = a_name_on_an_issued_bill()
    spoil(next(bill for bill in bills(NORTH) if bill.state == "overdue"), payer={})
    reconcile(world)
    held, before = {*wrong}, (len(bills(NORTH)), len(bills(SOUTH)))
    assert held <= seen(world)
    (row,) = (row for row in parked(world) if row["distributor_id"] == "dst_south")
    assert (row["state"], row["reasons"], row["amount"], row["reference"]) == (
        "waiting",
        ["books_wrong"],
        None,
        None,
    )

    reminders = [mail for mail in outbox(NORTH, "Mail") if mail["template"] == "bill_reminder"]
    for on in (date(2023, 4, 30), date(2023, 5, 24)):
        a_night(world, on)
    assert (len(bills(NORTH)), len(bills(SOUTH))) == before
    assert [mail for mail in outbox(NORTH, "Mail") if mail["template"] == "bill_reminder"] == reminders

    for each in parked(world):
        release(world, each["parked_id"])
    assert parked(world) == []
    a_night(world, date(2023, 5, 25))
    assert (len(bills(NORTH)), len(bills(SOUTH))) == (before[0] + 1, before[1] + 1)
    assert bills(SOUTH)[-1].state == "paid"


def test_a_bill_that_is_parked_waits_for_the_books(world: World) -> None:
    bill = bill_of(NORTH, 4)
    spoil(bill, parked_because=None)
    reconcile(world, "dst_north")
    (was,) = (each for each in list_parked(EVERYTHING) if each.bill_sk == bill.sk)
    spoil(was, state="waiting")

    answer = world.call("operators.release_parked", OPERATOR, path={"parked_id": was.parked_id})

    assert (answer.status, answer.code) == (409, "held")


def test_what_was_released_holds_nobody_again_unless_it_changes(world: World) -> None:
    a_payer_of_an_issued_invoice()
    assert len(reconcile(world, "dst_north")) == 1
    (row,) = parked(world)
    release(world, row["parked_id"])

    assert reconcile(world, "dst_north", full=False) == set()
    assert reconcile(world, "dst_north") == set()
    assert find_hold(EVERYTHING, NORTH) is None

    changed = a_reason_of_a_credit_note()
    assert reconcile(world, "dst_north") == changed


def test_what_was_released_and_put_right_would_hold_again(world: World) -> None:
    balance = find_credit_balance(EVERYTHING, NORTH)
    right = balance.amount_minor
    wrong = a_credit_balance_of_nobody()
    assert reconcile(world, "dst_north") == wrong
    (row,) = parked(world)
    release(world, row["parked_id"])

    spoil(find_credit_balance(EVERYTHING, NORTH), amount_minor=right)
    assert reconcile(world, "dst_north") == set()
    a_credit_balance_of_nobody()
    assert reconcile(world, "dst_north") == wrong


def test_operators_are_told_once(world: World) -> None:
    wrong = an_entry_of_no_document()
    reconcile(world, "dst_north")
    once = [mail for mail in outbox(VENDOR, "Mail") if mail["template"] == "books_held"]
    assert reconcile(world, "dst_north") == wrong

    mails = [mail for mail in outbox(VENDOR, "Mail") if mail["template"] == "books_held"]
    assert mails == once
    (mail,) = mails
    assert mail["parameters"]["distributor"] == "North Distribution"
    assert "99999" in mail["parameters"]["found"][0]
    assert len(mail["to"]) >= 1
    assert len(parked(world)) == 1


def test_what_is_found_later_joins_what_is_known(world: World) -> None:
    first = an_entry_of_no_document()
    reconcile(world, "dst_north")
    second = a_reason_of_a_credit_note()

    assert reconcile(world, "dst_north") == first | second
    assert len(parked(world)) == 1


def test_step_by_step_it_finds_the_same(world: World) -> None:
    wrong = a_name_on_an_issued_bill() | an_entry_of_no_document() | a_number_on_no_bill()
    world.context = Context(20_000)
    try:
        assert reconcile(world) == wrong
    finally:
        world.context = Context()


def test_a_bill_of_several_parts_is_gone_through_part_by_part(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.billing.reconciliation.bill_steps._PARTS_AT_ONCE", 1)
    west = a_payer(date(2023, 3, 26), "west")
    for number in range(101):
        store(
            an_account(
                west,
                number,
                subscribed_on=date(2023, 3, 26),
                created_at=midnight(date(2023, 3, 26)),
                first_billed_on=date(2023, 4, 24),
            )
        )
    world.now = datetime(2023, 4, 24, 2, tzinfo=UTC)
    run_month(world)
    world.now = NIGHT
    world.context = Context(20_000)
    try:
        world.deliver(WORKER, {"distributor_id": "dst_west"})
        assert world.work(WORKER, "Reconciliation") >= 4
        assert parked(world) == []
        (bill,) = bills(west)
        last = list(list_parts(EVERYTHING, bill))[-1]
        spoil(last, lines=[last.lines[0] | {"quantity": "2"}, *last.lines[1:]])
        world.deliver(WORKER, {"distributor_id": "dst_west"})
        world.work(WORKER, "Reconciliation")
        assert seen(world) == {("B5", f"bill {bill.reference}")}
    finally:
        world.context = Context()


def test_a_night_on_which_the_provider_does_not_answer_compares_the_rest(world: World, table: Table) -> None:
    wrong = a_name_on_an_issued_bill()
    table.stripe.answer_next(*[500] * 20)

    assert reconcile(world) == wrong


def test_sound_bills_cost_little(world: World, table: Table) -> None:
    """A few reads for each bill, and nothing is written."""
    world.now = NIGHT
    before = table.harness.counts.total_calls
    world.deliver(WORKER, {"distributor_id": "dst_north", "full": True})

    assert table.harness.counts.total_calls - before <= 16 * len(bills(NORTH))
