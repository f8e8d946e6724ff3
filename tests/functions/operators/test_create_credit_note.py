from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal import keys
from portal.access import access_parts
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import VENDOR, Node
from tests.books import (
    EXCHANGE,
    a_payer,
    an_account,
    balances,
    bills,
    check_books,
    outbox,
    run_month,
    run_overdue,
    run_year,
    store,
)
from tests.support import Harness
from tests.world import OPERATOR, Answer, World, administrator


@pytest.fixture
def north(world: World) -> Node:
    """A distributor with a consolidated bill, 10001: 4 and 6 mailboxes at 1.80, 21.06 with tax; an annual
    invoice, 10002.
    """
    north = a_payer(date(2023, 1, 10))
    at = {"created_at": datetime(2023, 1, 10, tzinfo=UTC)}
    annual = an_account(north, 3, counts=3, plan="annual", subscribed_on=date(2023, 1, 24), **at)
    store([*an_account(north, 1, counts=4, **at), *an_account(north, 2, counts=6, **at), *annual])
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    run_month(world)
    run_year(world)
    world.now = datetime(2023, 2, 2, 12, tzinfo=UTC)
    return north


def credit(world: World, reference: str = "10001", **body: Any) -> Answer:
    given = {"reason": "Two mailboxes were counted twice", **body}
    return world.call("operators.create_credit_note", OPERATOR, path={"reference": reference}, body=given)


def a_line(quantity: int, account: int = 2, **values: Any) -> dict[str, Any]:
    return {"account_id": f"acc_{account:06d}", "service": EXCHANGE, "quantity": quantity} | values


def the_bill(distributor: Node, reference: str = "10001") -> Any:
    return next(bill for bill in bills(distributor) if bill.reference == reference)


def test_a_quantity_is_lowered_and_the_bill_stays_as_it_was_issued(world: World, north: Node) -> None:
    before = the_bill(north)
    answer = credit(world, lines=[a_line(4)])
    assert answer.status == 201, answer.text
    note = answer.json
    assert (note["reference"], note["bill_reference"], note["issue_date"]) == (
        "CN-10001",
        "10001",
        "2023-02-02",
    )
    assert [note[name]["amount"] for name in ("net", "tax", "amount")] == ["3.60", "0.61", "4.21"]
    [line] = note["lines"]
    assert (line["account_name"], line["quantity"], line["amount"]["amount"]) == ("Customer 2", "2", "3.60")

    bill = the_bill(north)
    assert (bill.total_minor, bill.outstanding_minor, bill.state) == (2106, 1685, "issued")
    assert (bill.payer, bill.prices, bill.version - before.version) == (before.payer, before.prices, 1)
    assert balances(north)["receivable"] == sum(each.outstanding_minor for each in bills(north))
    check_books(north)


def test_it_is_the_accounts_own_that_owes_less(world: World, north: Node) -> None:
    credit(world, lines=[a_line(4)])
    items = world.call("billing.list_billing_status", administrator(north)).json["items"]
    due = {row["account_name"]: row["amount_due"] and row["amount_due"]["amount"] for row in items}
    assert (due["Customer 1"], due["Customer 2"]) == ("8.43", "8.42")
    assert sum(int(float(due[f"Customer {n}"]) * 100 + 0.5) for n in (1, 2)) == 1685


def test_all_that_is_owed_settles_the_bill(world: World, north: Node) -> None:
    body = {"amount": "1.06", "currency": "USD", "received_on": "2023-02-01"}
    paid = world.call("operators.record_payment", OPERATOR, path={"reference": "10001"}, body=body)
    assert paid.status == 201
    answer = credit(world, all=True)
    assert answer.json["amount"]["amount"] == "20.00"
    bill = the_bill(north)
    assert (bill.state, bill.outstanding_minor, bill.distributor_pk, bill.due_pk) == (
        "credited",
        0,
        None,
        None,
    )
    [row] = world.call(
        "billing.list_billing_history", administrator(north), query={"state": "credited"}
    ).json["items"]
    assert (row["reference"], row["credited"]["amount"], row["outstanding"]["amount"]) == (
        "10001",
        "20.00",
        "0.00",
    )
    assert credit(world, all=True).code == "nothing_owed"
    world.now = datetime(2023, 3, 30, tzinfo=UTC)
    run_overdue(world)
    assert the_bill(north).state == "credited"
    check_books(north)


def test_an_amount_is_taken_off_an_annual_invoice(world: World, north: Node) -> None:
    answer = credit(world, "10002", amount="11.70", currency="USD")
    assert [answer.json[name]["amount"] for name in ("net", "tax", "amount")] == ["10.00", "1.70", "11.70"]
    assert answer.json["lines"] == []
    check_books(north)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"amount": "21.07", "currency": "USD"}, 409, "credit_too_high"),
        ({"amount": "1.00", "currency": "EUR"}, 409, "other_currency"),
        ({"amount": "0.00", "currency": "USD"}, 409, "nothing_to_credit"),
        ({"amount": "1.001", "currency": "USD"}, 400, "invalid"),
        ({"amount": "1.00"}, 400, "invalid"),
        ({}, 400, "invalid"),
        ({"all": True, "amount": "1.00", "currency": "USD"}, 400, "invalid"),
        ({"lines": []}, 400, "invalid"),
        ({"lines": [a_line(6)]}, 400, "invalid"),
        ({"lines": [a_line(-1)]}, 400, "invalid"),
        ({"lines": [a_line(1), a_line(2)]}, 400, "invalid"),
        ({"lines": [a_line(0, 3)]}, 400, "invalid"),
        ({"all": True, "reason": ""}, 400, "invalid"),
        ({"all": False}, 400, "invalid"),
    ],
)
def test_what_cannot_be_credited_is_refused_and_nothing_written(
    world: World, north: Node, body: dict[str, Any], status: int, code: str
) -> None:
    answer = credit(world, **body)
    assert (answer.status, answer.code) == (status, code), answer.text
    assert the_bill(north).credited_minor == 0
    check_books(north)


def test_no_other_bill_is_touched_and_unknown_ones_do_not_exist(world: World, north: Node) -> None:
    assert credit(world, "10099", all=True).code == "not_found"
    credit(world, all=True)
    assert the_bill(north, "10002").credited_minor == 0


def test_it_is_audited_on_both_sides_and_its_document_is_wanted_once(world: World, north: Node) -> None:
    credit(world, all=True)
    for node in (VENDOR, north):
        *_, entry = query(AuditEntry, keys.node(node), "AUDIT")
        assert entry.description == "Issued credit note CN-10001 over 21.06 USD for bill 10001"
    wanted = [body for body in outbox(north, "Documents") if body.get("credit_note")]
    assert [body["credit_note"] for body in wanted] == ["CN-10001"]


def test_of_many_at_once_no_more_is_credited_than_is_owed(
    world: World, north: Node, harness: Harness
) -> None:
    outcomes = harness.run_at_once(32, lambda: credit(world, amount="10.00", currency="USD").status)
    statuses = [outcome.get() for outcome in outcomes]
    assert set(statuses) == {201, 409}
    assert statuses.count(201) == 2
    assert the_bill(north).outstanding_minor == 106
    check_books(north)


def test_a_repeat_with_the_same_key_is_answered_alike(world: World, north: Node) -> None:
    headers = {"Idempotency-Key": "credit-1"}
    body = {"reason": "Goodwill", "amount": "1.00", "currency": "USD"}
    path = {"reference": "10001"}
    first, again = (
        world.call("operators.create_credit_note", OPERATOR, path=path, body=body, headers=headers)
        for _ in range(2)
    )
    assert first.json == again.json
    assert the_bill(north).credited_minor == 100


def rows(world: World, distributor: Node) -> dict[str, tuple[int | None, int | None]]:
    """What each account owes and what it paid last, in minor units."""
    shown = {}
    for row in world.call("billing.list_billing_status", administrator(distributor)).json["items"]:
        path = {"account_id": row["account_id"]}
        account = world.call("billing.get_billing_account", administrator(distributor), path=path).json
        owed, paid = account["amount_due"], account["last_paid"]
        shown[row["account_name"]] = (owed and owed["minor"], paid and paid["minor"])
    return shown


def pay(world: World, minor: int, reference: str = "10001") -> None:
    body = {"amount": f"{minor / 100:.2f}", "currency": "USD", "received_on": "2023-02-01"}
    answer = world.call("operators.record_payment", OPERATOR, path={"reference": reference}, body=body)
    assert answer.status == 201, answer.text


def test_after_an_amount_was_credited_the_lists_tell_what_is_owed_and_then_what_was_paid(
    world: World, north: Node
) -> None:
    credit(world, amount="5.85", currency="USD")
    owed = rows(world, north)
    assert owed["Customer 1"][0] + owed["Customer 2"][0] == 2106 - 585 == the_bill(north).outstanding_minor
    pay(world, 1521)
    paid = rows(world, north)
    assert (paid["Customer 1"][0], paid["Customer 2"][0]) == (None, None)
    assert paid["Customer 1"][1] + paid["Customer 2"][1] == 1521
    for operation in ("accounts.list_accounts", "partners.list_partners", "dashboard.get_dashboard"):
        assert world.call(operation, administrator(north)).status == 200


def test_an_account_whose_line_was_credited_whole_owes_and_paid_nothing(world: World, north: Node) -> None:
    credit(world, lines=[a_line(0, 1)])
    outstanding = the_bill(north).outstanding_minor
    assert (rows(world, north)["Customer 1"][0], rows(world, north)["Customer 2"][0]) == (None, outstanding)
    pay(world, outstanding)
    assert (rows(world, north)["Customer 1"][1], rows(world, north)["Customer 2"][1]) == (0, outstanding)


def test_of_an_annual_invoice_only_what_was_paid_counts_as_paid(world: World, north: Node) -> None:
    credit(world, "10002", amount="50.00", currency="USD")
    pay(world, 6318 - 5000, "10002")
    assert rows(world, north)["Customer 3"][1] == 1318


def test_a_bill_that_is_settled_by_its_last_cents_being_credited_was_paid_before_that(
    world: World, north: Node
) -> None:
    pay(world, 2100)
    credit(world, all=True)
    paid = rows(world, north)
    assert paid["Customer 1"][1] + paid["Customer 2"][1] == 2100
    pay(world, 6000, "10002")
    credit(world, "10002", all=True)
    assert rows(world, north)["Customer 3"][1] == 6000


def test_who_sees_a_list_of_accounts_reads_of_money_only_about_those(world: World, north: Node) -> None:
    credit(world, amount="1.00", currency="USD")
    credit(world, "10002", amount="1.00", currency="USD")
    for listed, seen in (("acc_000001", 0), ("acc_000003", 1)):
        caller = replace(administrator(north, f"usr_{listed}"), limited=True)
        store(access_parts(north, caller.user_id, [listed]))
        entries = world.call("audit.list_audit_entries", caller).json["items"]
        assert len([entry for entry in entries if "credit note" in entry["description"]]) == seen, listed
