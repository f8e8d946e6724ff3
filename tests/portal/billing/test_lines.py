from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from portal import keys
from portal.billing.lines import frozen, lines_of, stored_line
from portal.billing.rating import Line
from portal.billing.records import Bill, BillPart
from portal.money import Money
from portal.periods import Period
from portal.tree import Node

LINE = Line(
    account_id="acc_1",
    partner_id="prt_1",
    account_name="Moby Dick",
    account_email="moby@example.com",
    service="microsoft_365_exchange",
    kind="monthly",
    quantity=Decimal("12.5"),
    unit_price=300,
    discount=Decimal("0.40"),
    days=10,
    of_days=31,
    amount=726,
)
ENTRY = {
    "account_id": "acc_1",
    "partner_id": "prt_1",
    "outcome": "billed",
    "name": "Moby Dick",
    "email": "moby@example.com",
}


def a_part(*lines: Line) -> BillPart:
    excluded = {"account_id": "acc_0", "partner_id": "prt_1", "outcome": "excluded", "reason": "free"}
    return BillPart("pk", "sk", roster=[excluded, ENTRY], lines=[stored_line(line) for line in lines])


def a_bill(**values: object) -> Bill:
    known = {
        "bill_kind": "monthly",
        "bill_method": "invoice",
        "state": "issued",
        "period_start_on": date(2022, 12, 24),
        "period_end_on": date(2023, 1, 24),
        "currency": "USD",
        "payer": {"name": "North Distribution"},
        "tax_rate": Decimal("0.17"),
        "tax_name": "VAT",
        "reference": "10001",
        "issued_on": date(2023, 1, 24),
        "due_on": date(2023, 2, 23),
        "net_minor": 1452,
        "tax_minor": 247,
        "total_minor": 1699,
    }
    return Bill(keys.node(Node("dst_1")), "BILL", **known | values)


def test_a_line_comes_back_as_it_was() -> None:
    other = replace(
        LINE, service="salesforce", kind="true_up", quantity=Decimal(1000), discount=Decimal(0), amount=0
    )

    assert list(lines_of(a_part(LINE, other))) == [LINE, other]


def test_quantities_are_stored_without_an_exponent() -> None:
    assert stored_line(replace(LINE, quantity=Decimal("1E+3")))["quantity"] == "1000"


def test_a_frozen_bill_has_all_its_documents_say() -> None:
    parts = [a_part(LINE), a_part(replace(LINE, service="salesforce"))]

    bill = frozen(a_bill(), parts)

    assert (bill.reference, bill.period) == ("10001", Period(date(2022, 12, 24), date(2023, 1, 24)))
    assert (bill.total.gross, bill.tax.name, bill.tax.rate) == (Money(1699, "USD"), "VAT", Decimal("0.17"))
    assert [line.service for line in bill.lines] == ["microsoft_365_exchange", "salesforce"]
    assert list(bill.lines) == list(bill.lines)


def test_a_bill_that_was_not_issued_has_no_documents() -> None:
    with pytest.raises(ValueError, match="not issued"):
        frozen(a_bill(reference=None, issued_on=None, due_on=None), [])
