from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal import keys
from portal.accounts.records import Account
from portal.journal import AuditEntry
from portal.table import find, query
from portal.tree import VENDOR, Node
from tests.books import (
    a_payer,
    an_account,
    balances,
    bills,
    check_books,
    node_of,
    outbox,
    run_month,
    run_year,
    store,
)
from tests.world import OPERATOR, Answer, World, administrator


@pytest.fixture
def north(world: World) -> Node:
    """A distributor with a consolidated bill, 10001 over 2.11, and an annual invoice, 10002 over 63.18."""
    north = a_payer(date(2023, 1, 10))
    store(
        [
            *an_account(north, 1),
            *an_account(north, 2, counts=3, plan="annual", subscribed_on=date(2023, 1, 24)),
        ]
    )
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    run_month(world)
    run_year(world)
    world.now = datetime(2023, 2, 2, 12, tzinfo=UTC)
    return north


def pay(world: World, reference: str = "10001", headers: dict[str, str] | None = None, **body: Any) -> Answer:
    transfer = {"amount": "2.11", "currency": "USD", "received_on": "2023-02-01"} | body
    return world.call(
        "operators.record_payment", OPERATOR, path={"reference": reference}, body=transfer, headers=headers
    )


def test_with_all_that_is_owed_the_bill_is_paid(world: World, north: Node) -> None:
    answer = pay(world, note="Ref. 10001 North")

    assert answer.status == 201
    assert answer.json["bill_state"] == "paid"
    assert answer.json["amount"] == {"amount": "2.11", "minor": 211, "currency": "USD"}
    assert answer.json["outstanding"]["minor"] == 0
    assert answer.json["note"] == "Ref. 10001 North"
    assert (answer.json["reference"], answer.json["received_on"]) == ("10001", "2023-02-01")
    paid = next(bill for bill in bills(north) if bill.reference == "10001")
    assert (paid.state, paid.paid_on, paid.distributor_pk, paid.due_pk) == (
        "paid",
        date(2023, 2, 1),
        None,
        None,
    )
    assert balances(north) == {"receivable": 6318, "revenue": -5580, "tax": -949, "bank": 211}
    check_books(north)


def test_a_part_is_taken_and_the_rest_is_still_owed(world: World, north: Node) -> None:
    answer = pay(world, amount="2.00")

    assert (answer.json["bill_state"], answer.json["outstanding"]["amount"]) == ("issued", "0.11")
    assert pay(world, amount="0.11").json["bill_state"] == "paid"
    check_books(north)


def test_a_paid_annual_invoice_is_remembered_by_its_account(world: World, north: Node) -> None:
    pay(world, "10002", amount="60.00")
    account = find(Account, keys.node(node_of(north, 2)), keys.NODE)
    assert account is not None
    assert account.last_paid is None

    pay(world, "10002", amount="3.18")

    account = find(Account, keys.node(node_of(north, 2)), keys.NODE)
    assert account is not None
    assert account.last_paid == {"minor": 6318, "currency": "USD", "on": "2023-02-01"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"amount": "2.12"}, 409, "payment_too_high"),
        ({"currency": "EUR"}, 409, "other_currency"),
        ({"currency": "XXX"}, 400, "invalid"),
        ({"amount": "0.00"}, 400, "invalid"),
        ({"amount": "-1.00"}, 400, "invalid"),
        ({"amount": "1.001"}, 400, "invalid"),
        ({"amount": "1e2"}, 400, "invalid"),
        ({"amount": 2.11}, 400, "invalid"),
        ({"received_on": "2023-02-03"}, 400, "invalid"),
        ({"received_on": "2023-01-23"}, 400, "invalid"),
        ({"received_on": "yesterday"}, 400, "invalid"),
        ({"note": "x" * 201}, 400, "invalid"),
        ({"paid_by": "cash"}, 400, "invalid"),
    ],
)
def test_what_cannot_be_money_for_this_bill_is_refused(
    world: World, north: Node, body: dict[str, Any], status: int, code: str
) -> None:
    answer = pay(world, **body)

    assert (answer.status, answer.code) == (status, code)
    assert {bill.paid_minor for bill in bills(north)} == {0}
    check_books(north)


def test_nothing_is_taken_for_a_paid_bill(world: World, north: Node) -> None:
    pay(world)

    answer = pay(world)

    assert (answer.status, answer.code) == (409, "nothing_owed")
    check_books(north)


def test_a_repeated_request_is_one_payment(world: World, north: Node) -> None:
    first = pay(world, amount="1.00", headers={"Idempotency-Key": "transfer 1"})
    again = pay(world, amount="1.00", headers={"Idempotency-Key": "transfer 1"})
    other = pay(world, amount="1.05", headers={"Idempotency-Key": "transfer 1"})

    assert again.json == first.json
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    assert next(bill for bill in bills(north) if bill.reference == "10001").paid_minor == 100


def test_a_number_that_no_bill_has(world: World, north: Node) -> None:
    assert pay(world, "99999").status == 404


def test_who_gets_billing_mail_gets_a_receipt_and_both_portals_an_audit_entry(
    world: World, north: Node
) -> None:
    pay(world, amount="1.00")

    [receipt] = [body for body in outbox(north, "Mail") if body["template"] == "payment_received"]
    assert receipt["to_billing"]
    assert receipt["parameters"] == {"reference": "10001", "amount": "1.00 USD", "received_on": "2023-02-01"}
    for portal in (VENDOR, north):
        [entry] = query(AuditEntry, keys.node(portal), "AUDIT")
        assert entry.activity == "billing details updated"
        assert entry.description == "Recorded a bank transfer of 1.00 USD for bill 10001"
        assert entry.performed_by == OPERATOR.email


def test_a_distributor_cannot_record_its_own_payments(world: World, north: Node) -> None:
    body = {"amount": "2.11", "currency": "USD", "received_on": "2023-02-01"}

    answer = world.call(
        "operators.record_payment", administrator(north), path={"reference": "10001"}, body=body
    )

    assert answer.status == 403
