"""Money that comes in: in parts, in excess, twice, at once, and while anything fails. What was received is booked once."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal import keys
from portal.billing import credit_balance, payments
from portal.billing.holds import Hold
from portal.billing.records import Bill, list_payments
from portal.change import Change
from portal.consumer import Work
from portal.errors import Conflict
from portal.money import Money
from portal.payments.records import Charge, find_charge, find_credit_balance
from portal.scope import EVERYTHING
from portal.table import Check, Update, settled, stage, write
from portal.tree import Node
from tests.books import a_payer, an_account, balances, bills, check_books, outbox, run_month, store
from tests.payers import pay
from tests.support import Harness
from tests.world import OPERATOR, Answer, Context, World

pytestmark = pytest.mark.money


@pytest.fixture
def north(world: World) -> Node:
    """A distributor with three open bills over 2.11 each, of December to February: 10001 to 10003."""
    north = a_payer(date(2022, 11, 24))
    store(an_account(north, 1))
    for month in ("2022-12", "2023-01", "2023-02"):
        world.now = datetime.fromisoformat(f"{month}-24T03:00:00+00:00")
        run_month(world)
    pay(world)
    world.now = datetime(2023, 3, 1, 12, tzinfo=UTC)
    return north


def transfer(world: World, amount: str, reference: str = "10003", key: str = "", **body: Any) -> Answer:
    given = {"amount": amount, "currency": "USD", "received_on": "2023-02-28"} | body
    headers = {"Idempotency-Key": key} if key else None
    path = {"reference": reference}
    return world.call("operators.record_payment", OPERATOR, path=path, body=given, headers=headers)


def states(distributor: Node) -> list[tuple[str, int]]:
    """Of each bill, earliest first: its state and what was paid."""
    return [(bill.state, int(bill.paid_minor)) for bill in bills(distributor)]


def kept(distributor: Node) -> int:
    balance = find_credit_balance(EVERYTHING, distributor)
    return int(balance.amount_minor) if balance is not None else 0


def received(bill: Bill) -> list[tuple[str, int, int]]:
    """How, how much, and what of it was too much; in the order of the receipts."""
    found = sorted(list_payments(EVERYTHING, bill), key=lambda each: each.receipt)
    return [(each.paid_by, int(each.amount_minor), int(each.excess_minor)) for each in found]


def test_parts_then_more_than_is_left_pay_the_other_bills_and_the_next_one(world: World, north: Node) -> None:
    transfer(world, "1.00")
    transfer(world, "0.50")
    assert transfer(world, "0.62").code == "payment_too_high"
    assert transfer(world, "3.00", excess="keep").json["excess"]["minor"] == 239
    pay(world)

    # The earliest due is paid first, and what is left is a part of the next.
    assert states(north) == [("paid", 211), ("issued", 28), ("paid", 211)]
    oldest, _, latest = bills(north)
    assert received(oldest) == [("credit_balance", 211, 0)]
    assert received(latest) == [
        ("bank_transfer", 100, 0), ("bank_transfer", 50, 0), ("bank_transfer", 300, 239),
    ]  # fmt: skip
    check_books(north)

    transfer(world, "5.00", "10002", excess="keep")
    pay(world)
    assert kept(north) == 317
    world.now = datetime(2023, 3, 24, 3, tzinfo=UTC)
    run_month(world)
    pay(world)
    *_, issued = bills(north)
    assert (issued.state, received(issued), kept(north)) == ("paid", [("credit_balance", 211, 0)], 106)
    assert balances(north)["receivable"] == 0
    assert balances(north)["bank"] == 950
    check_books(north)


def test_what_the_provider_has_taken_is_recorded_whatever_has_become_of_the_bill(
    world: World, north: Node
) -> None:
    def take(intent: str, minor: int, at: int) -> None:
        money = Money(minor, "USD")
        got = payments.receiving_from_provider(bills(north)[at], intent, money, "payment_page", world.now)
        work(world).commit(*got.writes, send=got.messages)

    take("pi_part", 11, 0)
    take("pi_whole", 211, 1)
    take("pi_again", 211, 1)
    take("pi_more", 300, 0)

    assert states(north) == [("paid", 211), ("paid", 211), ("issued", 0)]
    assert kept(north) == 211 + 100
    assert (balances(north)["provider"], balances(north).get("bank", 0)) == (733, 0)
    check_books(north)
    pay(world)
    assert states(north)[2] == ("paid", 211)
    assert kept(north) == 100
    check_books(north)
    with pytest.raises(payments.RecordedAlready):
        take("pi_whole", 211, 1)
    with pytest.raises(Conflict):
        payments.receiving_from_provider(bills(north)[0], "pi_yen", Money(1, "JPY"), "credit_card", world.now)
    check_books(north)


def test_a_bill_whose_card_is_charged_is_passed_over(world: World, north: Node) -> None:
    oldest = bills(north)[0]
    store([Charge(keys.bill_parts(north, oldest.sk), keys.CHARGE, state="asked", begun_at=world.now)])
    transfer(world, "5.00", excess="keep")
    credit_balance.apply(work(world), north, oldest.sk)
    assert [state for state, _ in states(north)] == ["issued", "paid", "paid"]
    assert kept(north) == 78
    check_books(north)


def test_nothing_is_paid_from_the_balance_while_the_distributor_is_held(world: World, north: Node) -> None:
    hold = Hold(keys.node(north), keys.HOLD, parked_id="prk_1", since=world.now)
    store([hold])
    transfer(world, "5.00", excess="keep")
    pay(world)
    assert (states(north)[0], kept(north)) == (("issued", 0), 289)
    write([stage(Update(hold, Change(parked_id=None)))])
    credit_balance.apply(work(world), north, bills(north)[0].sk)
    assert (states(north)[0], kept(north)) == (("paid", 211), 0)
    assert states(north)[1] == ("issued", 78)


def test_a_balance_for_more_bills_than_there_is_time_for_goes_on_in_a_new_message(
    world: World, north: Node
) -> None:
    transfer(world, "9.00", excess="keep")
    short = Work(world.now, Context(milliseconds=20_000))
    credit_balance.apply(short, north, bills(north)[2].sk)
    assert [state for state, _ in states(north)] == ["issued", "issued", "paid"]
    pay(world)
    assert [state for state, _ in states(north)] == ["paid", "paid", "paid"]
    assert kept(north) == 900 - 3 * 211
    check_books(north)


def test_a_request_that_is_sent_32_times_is_one_payment(harness: Harness, world: World, north: Node) -> None:
    for _, outcomes in harness.rounds(
        32, lambda: transfer(world, "5.00", key="transfer 7", excess="keep"), seeds=range(15)
    ):
        told = {(outcome.get().status, outcome.get().text) for outcome in outcomes}
        assert len({text for status, text in told if status == 201}) == 1
        assert {status for status, _ in told} <= {201, 409}
        assert (states(north)[2], kept(north)) == (("paid", 211), 289)
        check_books(north)


def test_32_transfers_at_once_are_each_recorded_or_refused(
    harness: Harness, world: World, north: Node
) -> None:
    for seed, outcomes in harness.rounds(32, lambda: transfer(world, "2.11"), seeds=range(2)):
        assert Counter(outcome.get().status for outcome in outcomes) == {201: 1, 409: 31}, seed
        check_books(north)
    for seed, outcomes in harness.rounds(32, lambda: transfer(world, "0.50", excess="keep"), seeds=range(2)):
        recorded = [outcome.get() for outcome in outcomes if outcome.get().status == 201]
        assert len({answer.json["receipt"] for answer in recorded}) == len(recorded) > 5, seed
        assert balances(north)["bank"] == 50 * len(recorded)
        assert states(north)[2] == ("paid", 211)
        check_books(north)


def test_what_the_provider_tells_32_times_is_one_payment(harness: Harness, world: World, north: Node) -> None:
    def told() -> None:
        def attempt() -> None:
            bill = bills(north)[2]
            got = payments.receiving_from_provider(bill, "pi_1", Money(500, "USD"), "credit_card", world.now)
            work(world).commit(*got.writes, send=got.messages)

        settled(attempt, times=40)

    for seed, outcomes in harness.rounds(32, told, seeds=range(10)):
        errors = [outcome.error for outcome in outcomes if not outcome.ok]
        assert len(errors) == 31, seed
        assert all(isinstance(error, payments.RecordedAlready) for error in errors), seed
        assert received(bills(north)[2]) == [("credit_card", 500, 289)]
        check_books(north)


def test_the_balance_is_spent_once_however_many_want_it(harness: Harness, world: World, north: Node) -> None:
    transfer(world, "3.00", excess="keep")
    oldest = bills(north)[0]
    copies: list[Callable[[], Any]] = [
        *[lambda: credit_balance.apply(work(world), north, oldest.sk)] * 16,
        *[lambda: transfer(world, "2.11", "10001", excess="keep")] * 4,
        *[lambda: credited(world)] * 4,
        lambda: begin_charge(oldest),
    ]
    store([Charge(keys.bill_parts(north, oldest.sk), keys.CHARGE, state="waiting", begun_at=world.now)])
    start = harness.snapshot()
    for seed in range(4):
        outcomes = harness.run_together(copies, seed=seed)
        assert all(outcome.ok or isinstance(outcome.error, Conflict) for outcome in outcomes), seed
        check_books(north)
        charge, bill = find_charge(EVERYTHING, oldest), bills(north)[0]
        assert charge is not None
        if charge.is_in_flight:
            assert charge.amount_minor == bill.outstanding_minor, f"{seed}: it moved while a card was charged"
        harness.restore(start)


def credited(world: World) -> Answer:
    body = {"reason": "Goodwill", "amount": "1.00", "currency": "USD"}
    return world.call("operators.create_credit_note", OPERATOR, path={"reference": "10001"}, body=body)


def begin_charge(bill: Bill) -> None:
    """As charging a card begins: only while the bill is as it was read."""

    def attempt() -> None:
        found = next(each for each in bills(bill.node) if each.sk == bill.sk)
        charge = find_charge(EVERYTHING, bill)
        if charge is not None and found.is_open:
            asked = Change(state="asked", amount_minor=found.outstanding_minor)
            write([stage(Update(charge, asked)), Check(found)])

    settled(attempt, times=40)


def work(world: World) -> Work:
    return Work(world.now, world.context)


def test_recording_an_excess_survives_every_fault(harness: Harness, world: World, north: Node) -> None:
    def record() -> None:
        transfer(world, "5.00", key="transfer 7", excess="keep")

    def as_it_ends() -> Any:
        return states(north), kept(north), balances(north), Counter(body["bill_sk"] for body in wanted(north))

    start = harness.snapshot()
    record()
    pay(world)
    expected = as_it_ends()
    assert expected[:2] == ([("paid", 211), ("issued", 78), ("paid", 211)], 0)
    harness.restore(start)
    runs = 0
    for run in harness.sweep(record):
        struck = harness.snapshot()
        for later in ({"minutes": 1}, {"hours": 23}):
            world.advance(**later)
            record()
            pay(world)
            assert as_it_ends() == expected, f"{run}, done again after {later}"
            check_books(north)
            harness.restore(struck)
            runs += 1
    assert runs > 40


def test_paying_from_the_balance_survives_every_fault(harness: Harness, world: World, north: Node) -> None:
    transfer(world, "5.00", excess="keep")
    bill_sk = bills(north)[2].sk
    message = {"kind": "bill", "distributor_id": north.distributor, "bill_sk": bill_sk}

    def apply() -> None:
        with suppress(AssertionError):
            world.deliver("payments.on_payment_due", message)

    runs = 0
    for run in harness.sweep(apply):
        struck = harness.snapshot()
        for later in ({"minutes": 1}, {"hours": 25}):
            world.advance(**later)
            apply()
            assert states(north) == [("paid", 211), ("issued", 78), ("paid", 211)], f"{run}, {later}"
            assert kept(north) == 0
            harness.restore(struck)
            runs += 1
        apply()
        check_books(north)
    assert runs > 60


def wanted(distributor: Node) -> list[Any]:
    """The receipts that are to be rendered."""
    return [body for body in outbox(distributor, "Documents") if "payment" in body]
