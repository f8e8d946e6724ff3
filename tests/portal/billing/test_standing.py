from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal.accounts.records import list_all_accounts
from portal.billing.records import Bill
from portal.billing.standing import (
    Standing,
    amount,
    is_past_due,
    load_open_lines,
    load_owed,
    load_standings,
    partner_billing_status,
)
from portal.money import Money
from portal.scope import EVERYTHING, Scope
from portal.tree import Node
from tests import books
from tests.support import Harness
from tests.world import OPERATOR, World

NOTHING = Money.zero("USD")


def standing(status: Any, owed: int = 0, last_paid: int | None = None) -> Standing:
    return Standing(status, Money(owed, "USD"), None if last_paid is None else Money(last_paid, "USD"))


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], "successful"),
        (["trial", "trial"], "successful"),
        (["none", "current"], "successful"),
        (["current", "due"], "all_bills_on_track"),
        (["due", "overdue"], "with_exceptions"),
        (["none", "overdue"], "with_exceptions"),
        (["overdue"], "failures"),
        (["overdue", "trial", "overdue"], "failures"),
    ],
)
def test_a_partners_status_over_its_accounts(statuses: list[str], expected: str) -> None:
    assert partner_billing_status(standing(status) for status in statuses) == expected


def test_the_amount_is_what_is_owed_else_what_was_paid_last_else_nothing() -> None:
    owing = [standing("due", 100, 7), standing("overdue", 200), standing("current", 0, 5)]
    assert amount(owing).model_dump() == {"kind": "owed", "amount": "3.00", "minor": 300, "currency": "USD"}
    paid = amount([standing("current", 0, 5), standing("current", 0, 7), standing("none")])
    assert (paid.kind, paid.minor) == ("paid", 12)
    assert amount([standing("none"), standing("trial")]) is None
    assert amount([]) is None


@pytest.mark.parametrize(
    ("state", "today", "expected"),
    [
        ("issued", date(2023, 2, 23), False),
        ("issued", date(2023, 2, 24), True),
        ("overdue", date(2023, 2, 23), True),
        ("paid", date(2023, 5, 1), False),
        ("draft", date(2023, 5, 1), False),
    ],
)
def test_a_bill_is_past_due_from_the_day_after_its_due_date(state: str, today: date, expected: bool) -> None:
    assert is_past_due(Bill("D#dst|", "BILL#1", state=state, due_on=date(2023, 2, 23)), today) is expected


def standings_of(
    distributor: Node, today: date, scope: Scope = EVERYTHING
) -> dict[str, tuple[str, int, int | None]]:
    accounts = list_all_accounts(scope, distributor)
    return {
        account_id[-1]: (each.status, each.owed.minor, each.last_paid and each.last_paid.minor)
        for account_id, each in sorted(load_standings(scope, distributor, accounts, today).items())
    }


def pay(world: World, reference: str, minor: int) -> None:
    amount_text = Money(minor, "USD").amount
    transfer = {"amount": amount_text, "currency": "USD", "received_on": world.now.date().isoformat()}
    path = {"reference": reference}
    assert world.call("operators.record_payment", OPERATOR, path=path, body=transfer).status == 201


@pytest.fixture
def north(world: World) -> Node:
    """A bill over 12.64 (1.84 of it tax), due on 23 February, for accounts with 4 seats and 2."""
    world.now = datetime(2022, 12, 24, 3, tzinfo=UTC)
    distributor = books.a_payer(world.now.date())
    for number, counts in ((1, 4), (2, 2), (3, 0)):
        books.store(books.an_account(distributor, number, counts=counts))
    books.store(books.an_account(distributor, 4, plan=None, trial_ends_at=datetime(2023, 3, 1, tzinfo=UTC)))
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    return distributor


def test_an_open_bill_is_owed_by_its_accounts_with_their_share_of_the_tax(north: Node) -> None:
    assert standings_of(north, date(2023, 2, 23)) == {
        "1": ("due", 843, None),
        "2": ("due", 421, None),
        "3": ("none", 0, None),
        "4": ("trial", 0, None),
    }
    assert {each[0] for each in standings_of(north, date(2023, 2, 24)).values()} == {
        "overdue",
        "none",
        "trial",
    }


def test_what_is_paid_in_part_leaves_each_its_part_of_the_rest_to_the_cent(world: World, north: Node) -> None:
    pay(world, "10001", 1000)
    assert [owed for _, owed, _ in standings_of(north, date(2023, 2, 1)).values()] == [176, 88, 0, 0]


def test_a_paid_bill_leaves_accounts_current_and_is_what_they_paid_last(world: World, north: Node) -> None:
    pay(world, "10001", 1264)
    assert standings_of(north, date(2023, 2, 1)) == {
        "1": ("current", 0, 843),
        "2": ("current", 0, 421),
        "3": ("none", 0, None),
        "4": ("trial", 0, None),
    }


def test_the_worst_of_several_bills_counts_and_the_last_one_paid_is_remembered(
    world: World, north: Node
) -> None:
    for month in (2, 3):
        world.now = datetime(2023, month, 24, 3, tzinfo=UTC)
        books.run_month(world)
    pay(world, "10002", 1264)
    assert standings_of(north, world.now.date())["1"] == ("overdue", 2 * 843, 843)


def test_an_annual_account_remembers_its_own_invoice(world: World, north: Node) -> None:
    books.store(books.an_account(north, 5, plan="annual", subscribed_on=world.now.date()))
    books.run_year(world)
    assert standings_of(north, world.now.date())["5"] == ("due", 2106, None)
    pay(world, "10002", 2106)
    assert standings_of(north, world.now.date())["5"] == ("current", 0, 2106)


def test_what_an_account_paid_last_is_its_growth_too_whoever_is_listed_along(world: World) -> None:
    world.now = datetime(2023, 1, 10, 3, tzinfo=UTC)
    distributor = books.a_payer(world.now.date())
    grown = {books.EXCHANGE: [(date(2023, 1, 1), 10), (date(2023, 1, 15), 15)]}
    books.store(
        books.an_account(distributor, 1, plan="annual", subscribed_on=date(2023, 1, 10), counts=grown)
    )
    books.store(books.an_account(distributor, 2))
    books.run_year(world)
    world.now = datetime(2023, 1, 24, 3, tzinfo=UTC)
    books.run_month(world)
    for bill in books.bills(distributor):
        pay(world, bill.reference or "", bill.outstanding_minor)

    growing, other = sorted(list_all_accounts(EVERYTHING, distributor), key=lambda each: each.account_id)
    today = world.now.date()
    alone = load_standings(EVERYTHING, distributor, [growing], today)[growing.account_id]
    along = load_standings(EVERYTHING, distributor, [growing, other], today)[growing.account_id]
    assert alone == along
    (line,) = (each for each in books.lines(books.bills(distributor)[-1]) if each.kind == "true_up")
    assert alone.last_paid == Money(line.amount + round(line.amount * 0.17), "USD")


def test_a_scope_of_a_few_accounts_owes_for_these_only(north: Node) -> None:
    scope = Scope(north, frozenset({"acc_000002"}))
    assert standings_of(north, date(2023, 2, 1), scope) == {"2": ("due", 421, None)}
    assert load_owed(scope, north, "USD") == Money(421, "USD")
    assert load_owed(EVERYTHING, north, "USD") == Money(1264, "USD")


def test_a_removed_account_owes_what_it_owed(north: Node) -> None:
    (line,) = load_open_lines(EVERYTHING, north, date(2023, 2, 1), only="acc_000001".__eq__)["acc_000001"]
    assert (line.owed, line.bill.reference, [each.quantity for each in line.lines]) == (
        Money(843, "USD"),
        "10001",
        [4],
    )


def test_without_accounts_nothing_is_read(harness: Harness, world: World) -> None:
    before = len(harness.calls)
    assert load_standings(EVERYTHING, Node("dst_1"), [], date(2023, 1, 1)) == {}
    assert len(harness.calls) == before


def test_where_nobody_was_billed_yet_no_bill_is_looked_for(harness: Harness, world: World) -> None:
    distributor = books.a_payer(date(2023, 1, 1))
    books.store(books.an_account(distributor))
    accounts = list(list_all_accounts(EVERYTHING, distributor))
    before = len(harness.calls)
    assert load_standings(EVERYTHING, distributor, accounts, world.now.date())["acc_000001"].status == "none"
    # The open bills (none), and the distributor for its currency.
    assert len(harness.calls) - before == 2
