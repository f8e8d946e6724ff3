from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal.billing import rules
from portal.billing.rating import Total
from portal.billing.records import Bill
from portal.change import Change
from portal.errors import Conflict, FieldError, Invalid, PortalError
from portal.money import Money
from portal.operators.records import Parked
from portal.payments.records import Charge

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


def test_what_is_charged_to_a_card_is_due_once_that_was_tried_for_the_last_time() -> None:
    change = rules.issued("monthly", "credit_card", TOTAL, "10001", date(2023, 1, 24))

    assert (change["due_on"], change["reminders_sent"], change["look_at"]) == (
        date(2023, 1, 31),
        1,
        look_at(2, 1),
    )


def test_while_a_card_is_tried_nobody_is_reminded() -> None:
    change = rules.issued("monthly", "credit_card", TOTAL, "10001", date(2023, 1, 24))
    bill = a_bill(**change)
    given_up = a_bill(**change | rules.not_charged(bill))

    assert rules.look(bill, date(2023, 1, 31)).change == Change()
    assert rules.look(given_up, date(2023, 1, 31)).change == Change()
    first = rules.look(bill, date(2023, 2, 1))
    assert (first.change["state"], first.reminder) == ("overdue", None)
    assert rules.look(bill, date(2023, 2, 7)).reminder == 7
    assert rules.look(given_up, date(2023, 2, 7)).reminder == 7
    assert rules.not_charged(a_bill(state="paid")) == Change()


def test_annual_invoices_are_never_due_at_once() -> None:
    assert rules.issued("annual", "credit_card", TOTAL, "10001", date(2023, 1, 24))["due_on"] == DUE


@pytest.mark.parametrize("state", ["issued", "overdue", "paid", "nothing_to_bill"])
def test_what_is_issued_is_neither_rated_nor_issued_again(state: str) -> None:
    bill = a_bill(state=state)

    with pytest.raises(rules.AlreadyIssued):
        rules.check_not_issued(bill)
    with pytest.raises(rules.AlreadyIssued):
        rules.rated_anew(bill, {})


def a_rated_bill(**values: Any) -> Bill:
    """As far as a bill can come before it is issued."""
    known: dict[str, Any] = {
        "rating": 1,
        "recounts": 2,
        "rated_to": 7,
        "line_count": 3,
        "concerns": ["unpriced_service"],
    }
    return a_bill(net_minor=5, tax_minor=1, total_minor=6, **known | values)


@pytest.mark.parametrize("state", ["draft", "parked"])
def test_a_bill_that_is_rated_anew_begins_at_its_first_part(state: str) -> None:
    assert rules.rated_anew(a_rated_bill(state=state), {"new": "prices"}) == Change(
        state="draft",
        prices={"new": "prices"},
        rating=2,
        recounts=0,
        rated_to=0,
        line_count=0,
        net_minor=0,
        tax_minor=0,
        total_minor=0,
        concerns=None,
        follow_up_parts=None,
        parts_digest=None,
        parked_because=None,
    )


def test_a_draft_that_is_gone_through_again_keeps_its_rating_and_counts_how_often() -> None:
    assert rules.gone_through_again(a_rated_bill(state="draft")) == Change(
        recounts=3,
        rated_to=0,
        line_count=0,
        net_minor=0,
        concerns=None,
        follow_up_parts=None,
        parts_digest=None,
    )


def test_a_parked_bill_that_is_sent_back_keeps_its_rating_and_counts_how_often() -> None:
    assert rules.sent_back(a_rated_bill(state="parked")) == Change(
        state="draft",
        recounts=3,
        rated_to=0,
        line_count=0,
        net_minor=0,
        tax_minor=0,
        total_minor=0,
        concerns=None,
        follow_up_parts=None,
        parts_digest=None,
    )
    with pytest.raises(rules.AlreadyIssued):
        rules.sent_back(a_rated_bill(state="issued"))


def test_a_parked_bill_shows_what_it_would_come_to_and_why_it_waits() -> None:
    assert rules.parked(TOTAL, ("negative_line", "duplicate_line")) == Change(
        net_minor=1000,
        tax_minor=170,
        total_minor=1170,
        state="parked",
        parked_because=["negative_line", "duplicate_line"],
    )


@pytest.mark.parametrize("state", ["issued", "overdue"])
def test_an_open_bill_whose_card_is_given_up_is_overdue(state: str) -> None:
    assert rules.not_charged(a_bill(state=state)) == Change(state="overdue")


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


def receive(
    bill: Bill, minor: int, currency: str = "USD", on: date = date(2023, 2, 1), *, keep_excess: bool = False
) -> rules.Reception:
    return rules.received(bill, Money(minor, currency), on, today=date(2023, 2, 2), keep_excess=keep_excess)


PAID = Change(state="paid", paid_on=date(2023, 2, 1), look_at=None)
NOTHING = Money(0, "USD")


def test_a_part_is_taken_and_the_last_part_pays() -> None:
    bill = a_bill(state="overdue")

    assert receive(bill, 1000) == rules.Reception(Change(payment_count=1, paid_minor=1000), NOTHING)
    bill.paid_minor, bill.payment_count = 1000, 1
    assert receive(bill, 170) == rules.Reception(Change(payment_count=2, paid_minor=1170) | PAID, NOTHING)


def test_more_than_is_owed_is_kept_where_that_is_wanted() -> None:
    more = receive(a_bill(paid_minor=1000, payment_count=1), 200, keep_excess=True)
    assert more == rules.Reception(Change(payment_count=2, paid_minor=1170) | PAID, Money(30, "USD"))
    for settled in (a_bill(state="paid", paid_minor=1170), a_bill(state="credited", credited_minor=1170)):
        assert receive(settled, 200, keep_excess=True) == rules.Reception(
            Change(payment_count=1), Money(200, "USD")
        )


@pytest.mark.parametrize(
    ("bill", "minor", "currency", "on", "error"),
    [
        (a_bill(), 1171, "EUR", date(2023, 2, 1), rules.OtherCurrency),
        (a_bill(state="paid", paid_minor=1170), 0, "USD", date(2023, 2, 1), Invalid),
        (a_bill(), 1171, "USD", date(2023, 2, 3), Invalid),
        (a_bill(state="parked", issued_on=None), 10, "USD", date(2023, 2, 1), rules.NothingOwed),
    ],
)
def test_what_is_no_money_for_this_bill_is_not_kept_either(
    bill: Bill, minor: int, currency: str, on: date, error: type[PortalError]
) -> None:
    with pytest.raises(error):
        receive(bill, minor, currency, on, keep_excess=True)


def test_while_a_card_is_charged_nothing_else_moves_the_money_of_its_bill() -> None:
    for state in ("waiting", "succeeded", "given_up", "stopped"):
        rules.check_not_in_flight(Charge("pk", "sk", state=state))
    rules.check_not_in_flight(None)
    with pytest.raises(rules.PaymentInProgress):
        rules.check_not_in_flight(Charge("pk", "sk", state="asked"))


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


@pytest.mark.parametrize(
    ("minor", "on", "error"),
    [
        (0, date(2023, 2, 1), FieldError("amount", "Must be more than nothing.")),
        (
            10,
            date(2023, 1, 23),
            FieldError("received_on", "Not before the bill was issued and not in the future."),
        ),
    ],
)
def test_who_is_refused_is_told_the_field(minor: int, on: date, error: FieldError) -> None:
    with pytest.raises(Invalid) as refused:
        receive(a_bill(), minor, on=on)
    assert refused.value.errors == (error,)


def test_who_is_refused_is_told_what_the_bill_is_about() -> None:
    with pytest.raises(rules.OtherCurrency, match=r"^This bill is in USD\.$"):
        receive(a_bill(), 10, "EUR")
    with pytest.raises(rules.PaymentTooHigh, match=r"^Only 1\.70 USD is owed\.$"):
        receive(a_bill(paid_minor=1000), 171)


@pytest.mark.parametrize("on", [date(2023, 1, 24), date(2023, 2, 2)])
def test_money_may_arrive_from_the_day_of_issue_until_today(on: date) -> None:
    assert receive(a_bill(), 1, on=on) == rules.Reception(Change(payment_count=1, paid_minor=1), NOTHING)


def test_more_than_is_owed_is_refused_unless_it_is_said_that_it_be_kept() -> None:
    with pytest.raises(rules.PaymentTooHigh):
        rules.received(a_bill(), Money(1171, "USD"), date(2023, 2, 1), date(2023, 2, 2))


def a_credit(gross: int) -> Total:
    return Total(net=Money(gross - 1, "USD"), tax=Money(1, "USD"), gross=Money(gross, "USD"))


@pytest.mark.parametrize("state", ["issued", "overdue"])
def test_a_credit_note_takes_off_a_part_or_all_that_is_owed(state: str) -> None:
    bill = a_bill(state=state, paid_minor=1000, credited_minor=20)

    assert rules.credited(bill, a_credit(149)) == Change(credited_minor=169)
    assert rules.credited(bill, a_credit(150)) == Change(credited_minor=170, state="credited", look_at=None)
    with pytest.raises(rules.CreditTooHigh, match=r"^Only 1\.50 USD is owed\.$"):
        rules.credited(bill, a_credit(151))


@pytest.mark.parametrize("state", ["draft", "parked", "paid", "credited", "nothing_to_bill"])
def test_nothing_is_credited_where_nothing_is_owed(state: str) -> None:
    with pytest.raises(rules.NothingOwed):
        rules.credited(a_bill(state=state), a_credit(1))
