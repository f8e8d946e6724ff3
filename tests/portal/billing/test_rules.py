from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal.billing import rules
from portal.billing.rating import Total
from portal.billing.records import Bill
from portal.change import Change
from portal.errors import Conflict, Invalid, PortalError
from portal.money import Money
from portal.operators.records import Parked

DUE = date(2023, 2, 23)
TOTAL = Total(net=Money(1000, "USD"), tax=Money(170, "USD"), gross=Money(1170, "USD"))


def a_bill(**values: Any) -> Bill:
    """Issued on 24 January over 11.70, due on 23 February, unpaid."""
    known: dict[str, Any] = {
        "bill_kind": "monthly",
        "state": "issued",
        "currency": "USD",
        "reference": "10001",
        "issued_on": date(2023, 1, 24),
        "due_on": DUE,
        "total_minor": 1170,
        "look_at": datetime(2023, 2, 23, tzinfo=UTC),
    }
    return Bill("pk", "sk", **known | values)


def look_at(month: int, day: int) -> datetime:
    return datetime(2023, month, day, tzinfo=UTC)


def test_an_invoice_is_due_after_thirty_days_and_looked_at_then() -> None:
    change = rules.issued("monthly", "invoice", TOTAL, "10001", date(2023, 1, 24))

    assert change == Change(
        net_minor=1000,
        tax_minor=170,
        total_minor=1170,
        state="issued",
        reference="10001",
        issued_on=date(2023, 1, 24),
        due_on=DUE,
        reminders_sent=0,
        look_at=look_at(2, 23),
    )


def test_what_a_card_is_charged_is_due_at_once_and_not_reminded_of_on_that_day() -> None:
    change = rules.issued("monthly", "credit_card", TOTAL, "10001", date(2023, 1, 24))

    assert (change["due_on"], change["reminders_sent"], change["look_at"]) == (
        date(2023, 1, 24),
        1,
        look_at(1, 25),
    )


def test_annual_invoices_are_never_due_at_once() -> None:
    assert rules.issued("annual", "credit_card", TOTAL, "10001", date(2023, 1, 24))["due_on"] == DUE


@pytest.mark.parametrize("state", ["issued", "overdue", "paid", "nothing_to_bill"])
def test_what_is_issued_is_neither_rated_nor_issued_again(state: str) -> None:
    bill = a_bill(state=state)

    with pytest.raises(rules.AlreadyIssued):
        rules.check_not_issued(bill)
    with pytest.raises(rules.AlreadyIssued):
        rules.rated_anew(bill, {})


def test_a_bill_that_is_rated_anew_begins_at_its_first_part() -> None:
    bill = a_bill(
        state="parked", rating=1, rated_to=7, line_count=3, concerns=["unpriced_service"], net_minor=5
    )

    change = rules.rated_anew(bill, {"new": "prices"})

    assert (change["state"], change["rating"], change["rated_to"], change["net_minor"]) == ("draft", 2, 0, 0)
    assert (change["prices"], change["concerns"], change["parked_because"]) == ({"new": "prices"}, None, None)


def test_a_parked_bill_is_released_once() -> None:
    parked, now = Parked("pk", "sk", state="waiting"), datetime(2023, 1, 25, 9, tzinfo=UTC)

    change = rules.released(parked, "operator@example.com", now)

    assert change == Change(state="released", released_by="operator@example.com", released_at=now)
    with pytest.raises(rules.NotWaiting):
        rules.released(Parked("pk", "sk", state="released"), "operator@example.com", now)


@pytest.mark.parametrize(
    ("today", "sent", "state", "reminder", "next_look"),
    [
        (date(2023, 2, 22), 0, "issued", None, look_at(2, 23)),
        (date(2023, 2, 23), 0, "issued", 0, look_at(2, 24)),
        (date(2023, 2, 23), 1, "issued", None, look_at(2, 24)),
        (date(2023, 2, 24), 1, "overdue", None, look_at(3, 2)),
        (date(2023, 3, 1), 1, "overdue", None, look_at(3, 2)),
        (date(2023, 3, 2), 1, "overdue", 7, look_at(3, 9)),
        (date(2023, 3, 9), 2, "overdue", 14, look_at(3, 25)),
        (date(2023, 3, 25), 3, "overdue", 30, None),
        (date(2024, 1, 1), 4, "overdue", None, None),
    ],
)
def test_an_unpaid_bill_as_days_pass(
    today: date, sent: int, state: str, reminder: int | None, next_look: datetime | None
) -> None:
    bill = a_bill(reminders_sent=sent, look_at=datetime(2000, 1, 1, tzinfo=UTC))

    looked = rules.look(bill, today)

    assert looked.reminder == reminder
    assert (looked.change["state"], looked.change["look_at"]) == (state, next_look)


def test_after_weeks_without_a_look_one_reminder_goes_out() -> None:
    looked = rules.look(a_bill(), date(2023, 3, 10))

    assert looked == rules.Looked(
        Change(state="overdue", reminders_sent=3, look_at=look_at(3, 25)), reminder=14
    )


def test_looking_twice_finds_nothing() -> None:
    bill = a_bill()
    for name, value in rules.look(bill, date(2023, 3, 10)).change.items():
        setattr(bill, name, value)

    assert rules.look(bill, date(2023, 3, 10)) == rules.Looked(Change())
    assert rules.look(bill, date(2023, 3, 11)) == rules.Looked(Change())


def test_a_paid_bill_is_left_alone() -> None:
    assert rules.look(a_bill(state="paid", look_at=None), date(2023, 3, 10)) == rules.Looked(Change())
    assert rules.look(a_bill(state="paid"), date(2023, 3, 10)) == rules.Looked(Change(look_at=None))


def receive(bill: Bill, minor: int, currency: str = "USD", on: date = date(2023, 2, 1)) -> Change:
    return rules.received(bill, Money(minor, currency), on, today=date(2023, 2, 2))


def test_a_part_is_taken_and_the_last_part_pays() -> None:
    bill = a_bill(state="overdue")

    assert receive(bill, 1000) == Change(paid_minor=1000)
    bill.paid_minor = 1000
    assert receive(bill, 170) == Change(paid_minor=1170, state="paid", paid_on=date(2023, 2, 1), look_at=None)


@pytest.mark.parametrize(
    ("bill", "minor", "currency", "on", "error"),
    [
        (a_bill(), 1171, "USD", date(2023, 2, 1), rules.PaymentTooHigh),
        (a_bill(paid_minor=1000), 171, "USD", date(2023, 2, 1), rules.PaymentTooHigh),
        (a_bill(), 1170, "EUR", date(2023, 2, 1), rules.OtherCurrency),
        (a_bill(), 0, "USD", date(2023, 2, 1), Invalid),
        (a_bill(), -5, "USD", date(2023, 2, 1), Invalid),
        (a_bill(), 10, "USD", date(2023, 2, 3), Invalid),
        (a_bill(), 10, "USD", date(2023, 1, 23), Invalid),
        (a_bill(state="paid", paid_minor=1170), 10, "USD", date(2023, 2, 1), rules.NothingOwed),
        (a_bill(state="parked"), 10, "USD", date(2023, 2, 1), rules.NothingOwed),
        (a_bill(state="draft"), 10, "USD", date(2023, 2, 1), rules.NothingOwed),
    ],
)
def test_money_that_cannot_be_for_this_bill_is_refused(
    bill: Bill, minor: int, currency: str, on: date, error: type[PortalError]
) -> None:
    with pytest.raises(error):
        receive(bill, minor, currency, on)


def test_refusals_are_conflicts_with_the_state() -> None:
    assert all(
        issubclass(error, Conflict)
        for error in (rules.NothingOwed, rules.PaymentTooHigh, rules.OtherCurrency, rules.NotWaiting)
    )
