from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal import keys
from portal.accounts.records import Account
from portal.adapters import files
from portal.change import Change
from portal.journal import AuditEntry
from portal.money import Money
from portal.payments.records import Charge, PaymentPage
from portal.table import Update, find, query, stage, write
from portal.tree import VENDOR, Node
from tests.books import (
    EXCHANGE,
    PRICES,
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
from tests.builders import deliver_mail
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


def test_more_than_is_owed_is_refused_and_told_unless_it_is_to_be_kept(world: World, north: Node) -> None:
    refused = pay(world, amount="5.00")
    assert (refused.code, refused.json["detail"]) == ("payment_too_high", "Only 2.11 USD is owed.")

    kept = pay(world, amount="5.00", excess="keep")

    assert (kept.json["bill_state"], kept.json["outstanding"]["minor"]) == ("paid", 0)
    assert (kept.json["amount"]["amount"], kept.json["excess"]["amount"]) == ("5.00", "2.89")
    assert kept.json["receipt"] == "10001-1"
    paid = next(bill for bill in bills(north) if bill.reference == "10001")
    assert (paid.paid_minor, paid.state) == (211, "paid")
    assert balances(north)["credit_balance"] == -289
    [entry] = query(AuditEntry, keys.node(north), "AUDIT")
    assert entry.description == (
        "Recorded a bank transfer of 5.00 USD for bill 10001, 2.89 USD of it for the credit balance"
    )
    assert credit_balance(world, north) == "2.89"
    check_books(north)


def test_what_comes_for_a_settled_bill_is_kept_whole(world: World, north: Node) -> None:
    pay(world)
    again = pay(world, excess="keep")
    assert (again.status, again.json["bill_state"], again.json["excess"]["amount"]) == (201, "paid", "2.11")
    credit = {"reason": "Goodwill", "all": True}
    world.call("operators.create_credit_note", OPERATOR, path={"reference": "10002"}, body=credit)
    late = pay(world, "10002", excess="keep")
    assert (late.json["bill_state"], late.json["receipt"]) == ("credited", "10002-1")
    assert credit_balance(world, north) == "4.22"
    check_books(north)


def test_what_is_kept_is_checked_like_any_money(world: World, north: Node) -> None:
    for body, code in (
        ({"currency": "EUR"}, "other_currency"),
        ({"amount": "0"}, "invalid"),
        ({"received_on": "2023-02-03"}, "invalid"),
        ({"received_on": "2023-01-23"}, "invalid"),
        ({"amount": "9.999"}, "invalid"),
        ({"excess": "lose"}, "invalid"),
    ):
        assert pay(world, **{"amount": "9.00", "excess": "keep"} | body).code == code
    assert balances(north).get("bank", 0) == 0
    check_books(north)


def test_nothing_is_taken_while_the_card_of_the_bill_is_charged(world: World, north: Node) -> None:
    [bill] = [bill for bill in bills(north) if bill.reference == "10001"]
    in_flight = Charge(keys.bill_parts(north, bill.sk), keys.CHARGE, state="asked", begun_at=world.now)
    store([in_flight])
    for body in ({}, {"excess": "keep"}):
        answer = pay(world, **body)
        assert (answer.status, answer.code) == (409, "payment_in_progress")
    credit = {"reason": "Goodwill", "all": True}
    answer = world.call("operators.create_credit_note", OPERATOR, path={"reference": "10001"}, body=credit)
    assert (answer.status, answer.code) == (409, "payment_in_progress")
    write([stage(Update(in_flight, Change(state="given_up")))])
    assert pay(world).status == 201
    check_books(north)


def test_a_payment_page_that_asks_for_too_much_is_to_be_closed(world: World, north: Node) -> None:
    [bill] = [bill for bill in bills(north) if bill.reference == "10001"]
    place = keys.bill_parts(north, bill.sk), keys.PAYMENT_PAGE
    store([PaymentPage(*place, state="open", amount_minor=211, asked_at=world.now)])
    pay(world, amount="1.00")
    credit = {"reason": "Goodwill", "amount": "0.11", "currency": "USD"}
    world.call("operators.create_credit_note", OPERATOR, path={"reference": "10001"}, body=credit)
    told = {"kind": "page", "distributor_id": "dst_north", "bill_sk": bill.sk}
    assert outbox(north, "Payments").count(told) == 2


@pytest.mark.parametrize(
    ("currency", "wrong", "parts", "left"),
    [("JPY", "100.0", ["100", "111"], "0"), ("KWD", "0.0001", ["0.200", "0.011"], "0.000")],
)
def test_currencies_without_and_with_three_decimals(
    world: World, currency: str, wrong: str, parts: list[str], left: str
) -> None:
    terms = PRICES | {
        "currency": currency,
        "services": {EXCHANGE: {"monthly": "300" if currency == "JPY" else "0.300", "annual": "3"}},
    }
    payer = a_payer(date(2023, 1, 10), prices=terms, currency=currency)
    store(an_account(payer, 1))
    world.now = datetime(2023, 1, 24, 2, tzinfo=UTC)
    run_month(world)
    assert bills(payer)[0].total_minor == 211
    on = {"currency": currency, "received_on": "2023-01-24"}
    assert pay(world, **on, amount=wrong).code == "invalid"
    assert pay(world, **on, amount=parts[0]).json["outstanding"]["amount"] == parts[1]
    paid = pay(world, **on, amount="1000", excess="keep")
    assert (paid.json["bill_state"], paid.json["outstanding"]["amount"]) == ("paid", left)
    assert (
        paid.json["excess"]["minor"] == paid.json["amount"]["minor"] - Money.parse(parts[1], currency).minor
    )
    check_books(payer)


def credit_balance(world: World, distributor: Node) -> str:
    """As the distributor and the operators are shown it alike."""
    own = world.call("billing.get_billing_method", administrator(distributor)).json["credit_balance"]
    path = {"distributor_id": distributor.distributor}
    assert world.call("operators.get_distributor", OPERATOR, path=path).json["credit_balance"] == own
    return str(own["amount"])


def test_a_number_that_no_bill_has(world: World, north: Node) -> None:
    assert pay(world, "99999").status == 404


def test_who_gets_billing_mail_gets_a_receipt_and_both_portals_an_audit_entry(
    world: World, north: Node
) -> None:
    pay(world, amount="1.00")

    world.stream("notifications.deliver_outbox")
    world.work("billing.on_document_wanted", "Documents")
    [receipt] = [mail for mail in deliver_mail(world) if mail.subject == "Payment received for bill 10001"]
    assert receipt.to == "office@north.example.com"
    assert "1.00 USD for bill 10001 on 2023-02-01 (bank transfer)" in receipt.text
    assert "1.11 USD is still owed on it." in receipt.text
    assert receipt.files == {"receipt-10001-1.pdf": files.read("bills/dst_north/receipt-10001-1.pdf")}
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
