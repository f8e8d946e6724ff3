"""Bugs as others have had them, planted on purpose: the sweeps, races and checks that stand guard notice each.

Those of charging are planted in `test_charging_faults.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from portal import idempotency, ids, job, keys
from portal.accounts.records import DirectoryEntry, list_all_accounts, list_directory
from portal.billing import credits, issue, payments, prices, roster
from portal.billing.rating import Line, amount_for
from portal.billing.records import BillReference, Payment, Sequence, find_sequence
from portal.change import Change
from portal.consumer import Work
from portal.money import Money
from portal.scope import EVERYTHING, Caller, Scope
from portal.table import Item, Put, Update, settled, stage, write
from portal.tree import Node
from tests.books import EXCHANGE, a_payer, an_account, bills, check_books, outcomes, run_month, store
from tests.support import Fault, Harness, iam
from tests.sweeps import sweep
from tests.trees import plant
from tests.world import OPERATOR, World

pytestmark = pytest.mark.money

PAYMENT_DAY = datetime(2023, 1, 24, 2, tzinfo=UTC)


@pytest.fixture
def north(world: World) -> Node:
    """A distributor on its payment day."""
    [north] = _payers("north")
    world.now = PAYMENT_DAY
    return north


def _payers(*names: str) -> list[Node]:
    """Distributors with an account each and the same payment day."""
    payers = [a_payer(date(2022, 12, 26), name) for name in names]
    for payer in payers:
        store(an_account(payer))
    return payers


def test_an_idempotency_key_made_anew_each_time_is_caught(
    world: World, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = plant(world.now)
    known = idempotency.Repeat.of

    def of(caller: Caller, operation: str, key: str, request: bytes, now: datetime) -> Any:
        return known(caller, operation, ids.secret(), request, now)

    def pay() -> str:
        body = {"amount": "1.00", "currency": "USD", "received_on": "2023-01-10"}
        headers = {"Idempotency-Key": "once"}
        path = {"reference": tree.reference}
        world.call("operators.record_payment", OPERATOR, path=path, body=body, headers=headers)
        return str(bills(tree.distributor)[-1].paid_minor)

    monkeypatch.setattr(idempotency.Repeat, "of", of)
    with pytest.raises(AssertionError, match="twice"):
        sweep(harness, world, pay, whole=True, once=True)


def _counting(sequence: str) -> tuple[str, Any]:
    """A number from a counter of its own, taken before the bill that it is for is written."""
    known = find_sequence(sequence)
    if known is None:
        known = Sequence(*keys.sequence(sequence), last=10_000)
        write([Put(known)])
    number = int(known.last) + 1
    write([stage(Update(known, Change(last=number)))])
    return str(number), Update(known, Change())


def test_a_bare_counter_for_the_bills_numbers_is_caught(
    world: World, harness: Harness, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issue, "next_number", _counting)
    message = {"kind": "monthly", "distributor_id": north.distributor}

    def bill() -> None:
        with suppress(AssertionError):
            world.deliver("billing.on_billing_due", message)

    with pytest.raises(AssertionError):
        for _ in harness.sweep(bill, match=lambda call: call.writes):
            bill()
            check_books(north)


def test_today_instead_of_due_by_now_is_caught(
    world: World, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    due = job.Run.due

    def due_today(run: job.Run, model: Any, kind: str) -> Iterator[Any]:
        return (each for each in due(run, model, kind) if each.due_at.date() == run.as_of.date())

    world.advance(days=3)
    with monkeypatch.context() as planted:
        planted.setattr(job.Run, "due", due_today)
        run_month(world)
        assert bills(north) == []
    run_month(world)
    assert [bill.state for bill in bills(north)] == ["issued"]


def test_a_put_that_does_not_ask_whether_it_is_there_is_caught(
    world: World, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uniqueness by reading first: copies of a request all find nothing there."""
    tree = plant(world.now)
    asked = Put.__init__

    def unasked(put: Put, record: Any, taken: Any = None) -> None:
        asked(put, record, **({} if taken is None else {"taken": taken}))
        if isinstance(record, idempotency.IdempotencyRecord):
            object.__setattr__(record, "sk", f"{record.sk}{ids.secret()}")

    def pay() -> int:
        body = {"amount": "0.10", "currency": "USD", "received_on": "2023-01-10"}
        headers = {"Idempotency-Key": "once"}
        path = {"reference": tree.reference}
        return world.call("operators.record_payment", OPERATOR, path=path, body=body, headers=headers).status

    def paid(copies: int) -> int:
        start = harness.snapshot()
        harness.run_at_once(copies, pay, seed=1)
        found = int(bills(tree.distributor)[-1].paid_minor)
        harness.restore(start)
        return found

    assert paid(4) == 10
    monkeypatch.setattr(Put, "__init__", unasked)
    assert paid(4) > 10


def _write_whatever_is_there(monkeypatch: pytest.MonkeyPatch, *models: type[Item]) -> None:
    """Their records are put without the condition that nobody was faster."""
    for model in models:
        asked = model._get_save_args

        def unasked(record: Item, *, condition: Any = None, asked: Any = asked, **_: Any) -> Any:
            return asked(record, condition=condition, add_version_condition=False)

        monkeypatch.setattr(model, "_get_save_args", unasked)


def _money_of_one_intent(world: World, harness: Harness) -> Callable[[int], None]:
    """Copies of the worker that hears of the same payment; each reads anew when it was outrun."""
    [north] = _payers("north")
    world.now = PAYMENT_DAY
    run_month(world)

    def told() -> None:
        def attempt() -> None:
            money, bill = Money(50, "USD"), bills(north)[-1]
            got = payments.receiving_from_provider(bill, "pi_1", money, "credit_card", world.now)
            Work(world.now, world.context).commit(*got.writes, send=got.messages)

        with suppress(payments.RecordedAlready):
            settled(attempt, times=40)

    def race(seed: int) -> None:
        harness.run_at_once(4, told, seed=seed)
        check_books(north)

    return race


def _bills_of_one_day(world: World, harness: Harness) -> Callable[[int], None]:
    """Distributors with the same payment day, whose bills want the next number at once."""
    payers = _payers("east", "south", "west")
    world.now = PAYMENT_DAY

    def billing(payer: Node) -> Callable[[], None]:
        def bill() -> None:
            with suppress(AssertionError):
                world.deliver(
                    "billing.on_billing_due", {"kind": "monthly", "distributor_id": payer.distributor}
                )

        return bill

    def race(seed: int) -> None:
        harness.run_together([billing(payer) for payer in payers], seed=seed)
        check_books(*payers)

    return race


@pytest.mark.parametrize(
    ("racing", "models"),
    [(_money_of_one_intent, [Payment]), (_bills_of_one_day, [Sequence, BillReference])],
    ids=["payments", "numbers"],
)
def test_a_put_without_its_condition_is_caught_by_a_race(
    world: World, harness: Harness, monkeypatch: pytest.MonkeyPatch, racing: Any, models: list[type[Item]]
) -> None:
    race = racing(world, harness)
    start = harness.snapshot()

    def races() -> None:
        for seed in range(5):
            harness.restore(start)
            race(seed)

    races()
    _write_whatever_is_there(monkeypatch, *models)
    with pytest.raises(AssertionError):
        races()
    harness.restore(start)


def test_prices_that_are_read_again_for_a_credit_note_are_caught(
    world: World, harness: Harness, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(an_account(north, 2, counts=4))
    run_month(world)
    path = {"reference": bills(north)[-1].reference or ""}

    def credited() -> int:
        right = {"account_id": "acc_000002", "service": EXCHANGE, "quantity": "1"}
        body = {"reason": "Too much", "lines": [right]}
        assert world.call("operators.create_credit_note", OPERATOR, path=path, body=body).status == 201
        return int(bills(north)[-1].credited_minor)

    def check() -> None:
        start = harness.snapshot()
        as_billed = credited()
        harness.restore(start)
        services = {EXCHANGE: {"monthly": "2.00", "annual": "20.00"}}
        tomorrow = world.now + timedelta(days=1)
        body = {"currency": "USD", "effective_on": tomorrow.date().isoformat(), "services": services}
        whose = {"distributor_id": north.distributor}
        assert world.call("operators.set_prices", OPERATOR, path=whose, body=body).status == 200
        world.now = tomorrow
        later = credited()
        harness.restore(start)
        assert later == as_billed, "what is credited depends on today's prices"

    def by_todays_prices(line: Line, quantity: Decimal) -> int:
        book = prices.in_effect(prices.books(EVERYTHING, north), world.now.date())
        assert book is not None
        today = book.services[line.service].unit_price("monthly", line.quantity)
        return amount_for(replace(line, unit_price=today, discount=book.discount), quantity)

    check()
    monkeypatch.setattr(credits, "amount_for", by_todays_prices)
    with pytest.raises(AssertionError, match="depends on today's prices"):
        check()


def test_a_roster_from_an_index_is_caught(
    world: World, harness: Harness, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index has not heard yet of an account that was added a moment ago."""

    def from_the_index(scope: Scope, distributor: Node, after: str = "") -> Iterator[DirectoryEntry]:
        # The worker's own role would refuse it this index.
        with iam.acting_as("billing.list_billing_status"):
            listed = {account.account_id for account in list_all_accounts(scope, distributor)}
        return (each for each in list_directory(scope, distributor, after) if each.account_id in listed)

    def check(*, behind: bool) -> None:
        start = harness.snapshot()
        store(an_account(north, 2))
        if behind:
            from_indexes = lambda call: "IndexName" in call.parameters  # noqa: E731
            harness.fail(kind=Fault.STALE_READ, match=from_indexes, times=None, window=20)
        world.deliver("billing.on_billing_due", {"kind": "monthly", "distributor_id": north.distributor})
        harness.clear_faults()
        billed = [outcomes(bill) for bill in bills(north)]
        harness.restore(start)
        assert billed == [{"acc_000001": "billed", "acc_000002": "billed"}], "an account is on no bill"

    check(behind=True)
    monkeypatch.setattr(roster, "list_directory", from_the_index)
    check(behind=False)
    with pytest.raises(AssertionError, match="an account is on no bill"):
        check(behind=True)
