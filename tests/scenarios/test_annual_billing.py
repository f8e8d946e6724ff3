"""Annual accounts: an invoice at the start of each term, and growth on the payment days in between."""

from datetime import UTC, date, datetime

import pytest

from portal import keys
from portal.accounts.records import Account, find_renewal
from portal.billing.records import Bill
from portal.change import Change
from portal.scope import EVERYTHING
from portal.table import Update, find, stage, write
from portal.tree import Node
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
    node_of,
    outcomes,
    priced,
    run_month,
    run_year,
    store,
)
from tests.world import OPERATOR, World

SUBSCRIBED = date(2023, 1, 12)
CREATED = date(2023, 1, 10)


def invoices(distributor: Node) -> list[Bill]:
    """The annual ones, earliest term first."""
    return [bill for bill in bills(distributor) if bill.bill_kind == "annual"]


def consolidated(distributor: Node) -> list[Bill]:
    return [bill for bill in bills(distributor) if bill.bill_kind == "monthly"]


def run_all(world: World, on: date) -> None:
    """What the schedules do on a day."""
    world.now = datetime(on.year, on.month, on.day, 2, tzinfo=UTC)
    run_month(world)
    world.advance(minutes=10)
    run_year(world)


def invoice(world: World, account: Node) -> None:
    """Let the worker do what is due for one account, however long ago that was."""
    world.deliver("billing.on_billing_due", {"kind": "annual", "account": str(account)})


def nothing_is_to_come(account: Node) -> bool:
    renewal = find_renewal(EVERYTHING, account)
    return renewal is not None and renewal.due_at is None


def remove(account: Node, on: date) -> None:
    record = find(Account, keys.node(account), keys.NODE)
    assert record is not None
    write([stage(Update(record, Change(state="removal_pending", ended_on=on)))])


def test_the_first_term_is_invoiced_for_what_the_trial_had_on_the_eve(world: World) -> None:
    north = a_payer(CREATED)
    counts = {EXCHANGE: [(date(2023, 1, 11), 4), (SUBSCRIBED, 9)]}
    store(an_account(north, counts=counts, plan="annual", subscribed_on=SUBSCRIBED))
    world.now = datetime(2023, 1, 12, 15, tzinfo=UTC)

    run_year(world)
    run_year(world)

    [invoice] = invoices(north)
    assert (invoice.state, invoice.issued_on, invoice.due_on) == ("issued", SUBSCRIBED, date(2023, 2, 11))
    assert (invoice.period_start_on, invoice.period_end_on) == (SUBSCRIBED, date(2024, 1, 12))
    [line] = lines(invoice)
    assert (line.kind, line.quantity, line.unit_price, line.days, line.of_days) == (
        "annual",
        4,
        3000,
        365,
        365,
    )
    assert (invoice.net_minor, invoice.account_id, invoice.partner_id) == (4 * 1800, "acc_000001", "direct")
    check_books(north)


def test_each_term_is_invoiced_once_from_the_same_anchor(world: World) -> None:
    north = a_payer(date(2024, 2, 1))
    store(an_account(north, counts=2, plan="annual", subscribed_on=date(2024, 2, 29)))

    for on in (date(2024, 2, 29), date(2025, 2, 27), date(2025, 2, 28), date(2026, 2, 28), date(2028, 2, 28)):
        world.now = midnight(on)
        run_year(world)

    assert [invoice.period_start_on for invoice in invoices(north)] == [
        date(2024, 2, 29),
        date(2025, 2, 28),
        date(2026, 2, 28),
        date(2027, 2, 28),
    ]
    world.now = midnight(date(2028, 2, 29))
    run_year(world)
    assert invoices(north)[-1].period_start_on == date(2028, 2, 29)
    check_books(north)


def test_nothing_to_bill_is_no_invoice_and_the_next_term_comes(world: World) -> None:
    north = a_payer(CREATED)
    counts = {EXCHANGE: [(date(2023, 5, 1), 3)]}
    store(an_account(north, counts=counts, plan="annual", subscribed_on=SUBSCRIBED))

    for year in (2023, 2024):
        world.now = midnight(SUBSCRIBED.replace(year=year))
        run_year(world)

    assert [(invoice.state, invoice.reference) for invoice in invoices(north)] == [
        ("nothing_to_bill", None),
        ("issued", "10001"),
    ]
    assert outcomes(invoices(north)[0]) == {"acc_000001": "free"}
    check_books(north)


def test_a_removed_account_gets_no_invoice(world: World) -> None:
    north = a_payer(CREATED)
    store(an_account(north, plan="annual", subscribed_on=SUBSCRIBED))
    run_all(world, SUBSCRIBED)
    remove(node_of(north), date(2024, 1, 11))

    run_all(world, date(2024, 1, 12))
    world.now = midnight(date(2025, 1, 12))
    run_year(world)

    assert len(invoices(north)) == 1
    assert nothing_is_to_come(node_of(north))


@pytest.mark.parametrize(("method", "days"), [("invoice", 30), ("credit_card", 30)])
def test_an_invoice_is_due_in_thirty_days_whatever_the_method(world: World, method: str, days: int) -> None:
    north = a_payer(CREATED, billing_method=method)
    store(an_account(north, plan="annual", subscribed_on=SUBSCRIBED))

    run_all(world, SUBSCRIBED)

    [invoice] = invoices(north)
    assert (invoice.due_on - invoice.issued_on).days == days


def test_three_terms_at_once_wait_for_an_operator(world: World) -> None:
    north = a_payer(CREATED)
    store(an_account(north, counts=2, plan="annual", subscribed_on=SUBSCRIBED))
    world.now = midnight(date(2025, 2, 1))

    invoice(world, node_of(north))
    invoice(world, node_of(north))

    [parked] = world.call("operators.list_parked", OPERATOR).json["items"]
    assert (parked["kind"], parked["account_id"], parked["reasons"]) == (
        "annual",
        "acc_000001",
        ["too_many_periods"],
    )
    assert [invoice.state for invoice in invoices(north)] == ["parked"]

    path = {"parked_id": parked["parked_id"]}
    assert world.call("operators.release_parked", OPERATOR, path=path).json["reference"] == "10001"
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_billing_due", "Billing")

    assert [invoice.state for invoice in invoices(north)] == ["issued"] * 3
    check_books(north)


@pytest.mark.parametrize("late", [False, True])
def test_a_term_that_began_before_the_removal_is_invoiced_however_late(world: World, late: bool) -> None:
    north = a_payer(CREATED)
    store(an_account(north, counts=3, plan="annual", subscribed_on=SUBSCRIBED))
    run_all(world, SUBSCRIBED)
    if not late:
        run_all(world, date(2024, 1, 12))
    remove(node_of(north), date(2024, 1, 14))

    world.now = midnight(date(2024, 1, 20))
    run_year(world)
    world.now = midnight(date(2026, 2, 1))
    run_year(world)

    assert [each.period_start_on for each in invoices(north)] == [SUBSCRIBED, date(2024, 1, 12)]
    assert [lines(each)[0].quantity for each in invoices(north)] == [3, 3]
    assert nothing_is_to_come(node_of(north))
    check_books(north)


def test_an_account_is_kept_until_its_parked_invoice_was_released(world: World) -> None:
    north = a_payer(CREATED)
    store(an_account(north, counts={DROPBOX: [(CREATED, 1)]}, plan="annual", subscribed_on=SUBSCRIBED))
    remove(node_of(north), date(2023, 1, 20))
    run_all(world, date(2023, 1, 24))
    [parked] = world.call("operators.list_parked", OPERATOR).json["items"]

    def is_done_with() -> bool:
        account = find(Account, keys.node(node_of(north)), keys.NODE)
        assert account is not None
        return account.finally_billed_at is not None

    assert not is_done_with()
    services = {**PRICES["services"], DROPBOX: {"monthly": "1.00", "annual": "10.00"}}
    store([priced(north, SUBSCRIBED, {**PRICES, "services": services})])
    world.call("operators.release_parked", OPERATOR, path={"parked_id": parked["parked_id"]})
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_billing_due", "Billing")
    run_all(world, date(2023, 2, 24))

    assert [(each.state, each.net_minor) for each in invoices(north)] == [("issued", 600)]
    assert is_done_with()


def test_a_parked_invoice_of_a_term_that_began_after_the_end_is_dropped_when_released(world: World) -> None:
    north = a_payer(CREATED)
    store(an_account(north, counts={DROPBOX: [(CREATED, 1)]}, plan="annual", subscribed_on=SUBSCRIBED))
    store(an_account(north, 2, counts=3, plan="annual", subscribed_on=SUBSCRIBED))
    world.now = midnight(date(2025, 2, 1))
    for number in (1, 2):
        invoice(world, node_of(north, number))
    remove(node_of(north, 2), SUBSCRIBED)
    parked = world.call("operators.list_parked", OPERATOR).json["items"]
    assert {each["account_id"]: each["reasons"] for each in parked} == {
        "acc_000001": ["unpriced_service"],
        "acc_000002": ["too_many_periods"],
    }

    [late] = [each["parked_id"] for each in parked if each["account_id"] == "acc_000002"]
    answer = world.call("operators.release_parked", OPERATOR, path={"parked_id": late})

    assert (answer.json["bill_state"], answer.json["reference"]) == ("nothing_to_bill", None)
    check_books(north)


def test_an_invoice_for_a_service_without_a_price_is_issued_once_it_has_one(world: World) -> None:
    north = a_payer(CREATED)
    store(
        an_account(
            north,
            counts={EXCHANGE: [(CREATED, 1)], DROPBOX: [(CREATED, 2)]},
            plan="annual",
            subscribed_on=SUBSCRIBED,
        )
    )
    run_all(world, SUBSCRIBED)
    [parked] = world.call("operators.list_parked", OPERATOR).json["items"]
    services = {**PRICES["services"], DROPBOX: {"monthly": "1.00", "annual": "10.00"}}
    store([priced(north, SUBSCRIBED, {**PRICES, "services": services})])

    answer = world.call("operators.release_parked", OPERATOR, path={"parked_id": parked["parked_id"]})
    assert answer.json["bill_state"] == "draft"
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_billing_due", "Billing")

    [invoice] = invoices(north)
    assert (invoice.state, invoice.net_minor) == ("issued", 1800 + 2 * 600)
    check_books(north)


# True-ups


def test_growth_is_invoiced_on_the_next_payment_day_for_the_rest_of_the_term_and_only_once(
    world: World,
) -> None:
    north = a_payer(CREATED)
    counts = {EXCHANGE: [(CREATED, 4), (date(2023, 1, 20), 6), (date(2023, 2, 1), 5), (date(2023, 3, 1), 7)]}
    store(an_account(north, counts=counts, plan="annual", subscribed_on=SUBSCRIBED))

    for on in (SUBSCRIBED, date(2023, 1, 24), date(2023, 2, 24), date(2023, 3, 24), date(2023, 4, 24)):
        run_all(world, on)

    months = consolidated(north)
    assert [bill.state for bill in months] == ["issued", "nothing_to_bill", "issued", "nothing_to_bill"]
    first, third = lines(months[0]), lines(months[2])
    assert [(line.kind, line.quantity, line.days, line.of_days) for line in first] == [
        ("true_up", 2, 353, 365)
    ]
    assert first[0].amount == round(2 * 1800 * 353 / 365)
    assert [(line.kind, line.quantity, line.days, line.of_days) for line in third] == [
        ("true_up", 1, 294, 365)
    ]
    check_books(north)


def test_shrinking_counts_from_the_next_term(world: World) -> None:
    north = a_payer(CREATED)
    counts = {EXCHANGE: [(CREATED, 4), (date(2023, 2, 1), 6), (date(2023, 8, 1), 2), (date(2024, 1, 20), 5)]}
    store(an_account(north, counts=counts, plan="annual", subscribed_on=SUBSCRIBED))
    payment_days = [date(2023, month, 24) for month in range(1, 13)]

    for on in (SUBSCRIBED, *payment_days, date(2024, 1, 12), date(2024, 1, 24)):
        run_all(world, on)

    assert [lines(invoice)[0].quantity for invoice in invoices(north)] == [4, 2]
    grown = [(bill.period_end_on, line.quantity) for bill in consolidated(north) for line in lines(bill)]
    assert grown == [(date(2023, 2, 24), 2), (date(2024, 1, 24), 3)]
    check_books(north)


def test_on_the_first_day_of_a_term_its_invoice_alone_counts(world: World) -> None:
    north = a_payer(CREATED)
    counts = {EXCHANGE: [(CREATED, 4), (date(2024, 1, 20), 9)]}
    store(an_account(north, counts=counts, plan="annual", subscribed_on=date(2023, 1, 24)))

    for on in (date(2023, 1, 24), date(2024, 1, 24)):
        for bill_on in [on] if on.year == 2023 else [date(2023, month, 24) for month in range(2, 13)] + [on]:
            run_all(world, bill_on)

    assert [lines(invoice)[0].quantity for invoice in invoices(north)] == [4, 9]
    assert {bill.state for bill in consolidated(north)} == {"nothing_to_bill"}
    check_books(north)


def test_growth_is_rated_at_the_prices_of_the_term(world: World) -> None:
    north = a_payer(CREATED)
    counts = {EXCHANGE: [(CREATED, 4), (date(2023, 3, 1), 5)]}
    store(an_account(north, counts=counts, plan="annual", subscribed_on=SUBSCRIBED))
    store([priced(north, date(2023, 2, 1), {**PRICES, "discount": "0"})])

    for on in (SUBSCRIBED, date(2023, 1, 24), date(2023, 2, 24), date(2023, 3, 24)):
        run_all(world, on)

    [line] = lines(consolidated(north)[-1])
    assert (line.unit_price, str(line.discount), line.amount) == (3000, "0.4", round(1800 * 294 / 365))


def test_growth_in_a_service_that_the_terms_prices_do_not_know_is_rated_at_the_periods(world: World) -> None:
    north = a_payer(CREATED)
    store(
        an_account(
            north,
            counts={EXCHANGE: [(CREATED, 4)], DROPBOX: [(date(2023, 3, 1), 1)]},
            plan="annual",
            subscribed_on=SUBSCRIBED,
        )
    )
    services = {**PRICES["services"], DROPBOX: {"monthly": "1.00", "annual": "10.00"}}
    store([priced(north, date(2023, 2, 20), {**PRICES, "services": services})])

    for on in (SUBSCRIBED, date(2023, 1, 24), date(2023, 2, 24), date(2023, 3, 24)):
        run_all(world, on)

    [line] = lines(consolidated(north)[-1])
    assert (line.service, line.kind, line.amount) == (DROPBOX, "true_up", round(600 * 294 / 365))


@pytest.mark.parametrize("late", [False, True])
def test_growth_on_a_payment_day_before_the_removal_is_invoiced_however_late(
    world: World, late: bool
) -> None:
    north = a_payer(CREATED)
    counts = {EXCHANGE: [(CREATED, 4), (date(2023, 1, 20), 6)]}
    store(an_account(north, counts=counts, plan="annual", subscribed_on=SUBSCRIBED))
    run_all(world, SUBSCRIBED)
    if not late:
        run_all(world, date(2023, 1, 24))
    remove(node_of(north), date(2023, 1, 25))

    run_all(world, date(2023, 1, 26))

    [line] = lines(consolidated(north)[0])
    assert (line.kind, line.quantity, line.days) == ("true_up", 2, 353)
    check_books(north)


def test_growth_of_an_account_that_was_removed_is_not_invoiced(world: World) -> None:
    north = a_payer(CREATED)
    counts = {EXCHANGE: [(CREATED, 4), (date(2023, 1, 15), 6)]}
    store(an_account(north, counts=counts, plan="annual", subscribed_on=SUBSCRIBED))
    run_all(world, SUBSCRIBED)
    remove(node_of(north), date(2023, 1, 20))

    run_all(world, date(2023, 1, 24))

    [month] = consolidated(north)
    assert month.state == "nothing_to_bill"
    account = find(Account, keys.node(node_of(north)), keys.NODE)
    assert account is not None
    assert account.finally_billed_at is not None


def growing_along(world: World) -> Node:
    """An annual account that grows until the fourth payment day, when one on the monthly plan grows even more."""
    north = a_payer(CREATED)
    grown = {EXCHANGE: [(CREATED, 4), (date(2023, 4, 1), 6)]}
    store(an_account(north, 1, counts=grown, plan="annual", subscribed_on=SUBSCRIBED))
    store(an_account(north, 2, counts={EXCHANGE: [(CREATED, 3), (date(2023, 4, 1), 300)]}))
    run_all(world, SUBSCRIBED)
    for month in (1, 2, 3):
        run_all(world, date(2023, month, 24))
    return north


def released(world: World) -> str:
    """How the one bill that waits is by then."""
    [row] = world.call("operators.list_parked", OPERATOR).json["items"]
    answer = world.call("operators.release_parked", OPERATOR, path={"parked_id": row["parked_id"]})
    assert answer.status == 200, answer.text
    state: str = answer.json["bill_state"]
    return state


def test_a_parked_bill_is_released_without_the_growth_of_an_account_that_ended_meanwhile(
    world: World,
) -> None:
    north = growing_along(world)
    run_all(world, date(2023, 4, 24))
    [_, _, _, april] = consolidated(north)
    assert (april.state, {line.kind for line in lines(april)}) == ("parked", {"monthly", "true_up"})
    remove(node_of(north), date(2023, 4, 24))
    world.now = datetime(2023, 4, 26, 9, tzinfo=UTC)

    assert released(world) == "draft"
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_billing_due", "Billing")

    [_, _, _, april] = consolidated(north)
    assert (april.state, april.issued_on, {line.kind for line in lines(april)}) == (
        "issued",
        date(2023, 4, 26),
        {"monthly"},
    )
    account = find(Account, keys.node(node_of(north)), keys.NODE)
    assert account is not None
    assert account.finally_billed_at is not None
    check_books(north)


def test_a_parked_bill_with_the_growth_of_accounts_that_are_there_is_issued_as_it_stands(
    world: World,
) -> None:
    north = growing_along(world)
    run_all(world, date(2023, 4, 24))
    remove(node_of(north), date(2023, 4, 25))
    world.now = datetime(2023, 4, 26, 9, tzinfo=UTC)

    assert released(world) == "issued"

    [_, _, _, april] = consolidated(north)
    assert {line.kind for line in lines(april)} == {"monthly", "true_up"}
    check_books(north)


def test_growth_is_looked_at_again_where_a_rated_bill_is_issued_a_day_late(world: World) -> None:
    north = growing_along(world)
    world.now = datetime(2023, 4, 24, 2, tzinfo=UTC)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("portal.billing.monthly._conclude", lambda *_: {}["nothing works any more"])
        with pytest.raises(AssertionError, match="failed on"):
            world.deliver("billing.on_billing_due", {"kind": "monthly", "distributor_id": "dst_north"})
    assert {line.kind for line in lines(consolidated(north)[-1])} == {"monthly", "true_up"}
    remove(node_of(north), date(2023, 4, 24))

    run_all(world, date(2023, 4, 25))

    [_, _, _, april] = consolidated(north)
    assert (april.state, {line.kind for line in lines(april)}) == ("parked", {"monthly"})
    check_books(north)


def test_a_term_that_nobody_invoiced_yet_is_invoiced_before_its_growth(world: World) -> None:
    north = a_payer(CREATED)
    counts = {EXCHANGE: [(CREATED, 4), (date(2023, 1, 20), 6)]}
    store(an_account(north, counts=counts, plan="annual", subscribed_on=SUBSCRIBED))
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)

    run_month(world)

    assert [line.quantity for line in lines(invoices(north)[0])] == [4]
    assert [(line.kind, line.quantity) for line in lines(consolidated(north)[0])] == [("true_up", 2)]
    check_books(north)
