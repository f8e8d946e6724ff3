"""What the payer is told when a card could not be charged."""

from datetime import UTC, date, datetime

from portal import keys
from portal.billing.records import Bill
from portal.notifications.templates import TEMPLATES, as_html, as_text
from portal.payments import rules
from portal.payments.mails import failure_mail
from portal.payments.records import Card, Charge
from portal.tree import Node
from tests.books import store
from tests.world import World

NORTH = Node("dst_north")
ISSUED = datetime(2023, 1, 24, 2, tzinfo=UTC)


def test_it_says_what_has_failed_and_when_it_is_tried_next(world: World) -> None:
    details = {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030}
    store([Card(keys.node(NORTH), keys.card("pm_1"), card_id="pm_1", **details)])
    values = {"currency": "USD", "total_minor": 1234, "due_on": date(2023, 1, 31), "state": "issued"}
    bill = Bill(keys.node(NORTH), "BILL#1", reference="10001", **values)
    charge = Charge(keys.bill_parts(NORTH, bill.sk), keys.CHARGE, **rules.begun(ISSUED), card_id="pm_1")

    declined = rules.failed(charge, "card_declined", "It was <declined>.", None, ISSUED)
    message = failure_mail(bill, charge, declined)
    letter = TEMPLATES["charge_failed"](message.body["parameters"])
    text = as_text(letter, {})
    assert letter.subject == "Bill 10001 could not be charged"
    assert "12.34 USD for bill 10001 could not be charged to your card visa ending in 4242." in text
    assert "Reason: It was <declined>." in text
    assert "We try again on 2023-01-25" in text
    assert "/billing/history/10001" in text
    assert "&lt;declined&gt;" in as_html(letter, {})
    assert (message.body["to_billing"], message.body["dedupe"]) == (True, "charge-failed 10001 1")

    last = rules.not_asked(charge, datetime(2023, 1, 31, 2, tzinfo=UTC))
    text = as_text(TEMPLATES["charge_failed"](failure_mail(bill, charge, last).body["parameters"]), {})
    assert "could not be charged to your active card." in text
    assert "That was the last time: the bill is overdue now." in text
