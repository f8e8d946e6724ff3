from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal import keys
from portal.billing import drafts
from portal.billing.records import list_price_books
from portal.distributors.records import get_distributor, get_schedule
from portal.journal import AuditEntry
from portal.scope import EVERYTHING
from portal.table import query
from portal.tree import Node
from tests import books
from tests.portal.billing.test_details import FORM
from tests.support import Harness
from tests.world import OPERATOR, Answer, World, administrator


def put(world: World, distributor: Node, **values: Any) -> Answer:
    body = FORM | {"currency": "USD"} | values
    return world.call("billing.set_payment_details", administrator(distributor), body=body)


def shown(world: World, distributor: Node) -> dict[str, Any]:
    answer = world.call("billing.get_payment_details", administrator(distributor))
    assert answer.status == 200, answer.text
    details: dict[str, Any] = answer.json
    return details


def test_they_are_kept_and_stand_on_the_next_bill_but_on_no_earlier_one(world: World, north: Node) -> None:
    before = books.bills(north)[0].payer
    assert put(world, north).status == 200
    details = shown(world, north)
    assert (details["complete"], details["company"], details["tax_id"]) == (
        True,
        "North Distribution",
        "LU15027442",
    )
    world.now = datetime(2023, 2, 24, 3, tzinfo=UTC)
    books.run_month(world)
    first, *_, latest = sorted(books.bills(north), key=lambda bill: int(bill.reference))
    assert first.payer == before
    assert latest.payer == {
        "name": "North Distribution",
        "email": "Billing@north.example.com",
        "country": "LU",
        "address": ["Ms Ada Moreau", "2 Harbour Road", "1234 Luxembourg", "Luxembourg"],
        "tax_id": "LU15027442",
    }


@pytest.mark.parametrize("values", [{"payment_day": 5}, {"currency": "EUR"}])
def test_once_there_is_a_bill_currency_and_payment_day_are_fixed(
    world: World, north: Node, values: dict[str, Any]
) -> None:
    answer = put(world, north, **values)
    assert (answer.status, answer.code) == (409, "fixed_after_the_first_bill")
    assert shown(world, north)["complete"] is False
    assert put(world, north, city="Esch").status == 200


@pytest.mark.parametrize(
    ("payment_day", "billed_from", "first_due"),
    [
        (5, date(2023, 1, 5), date(2023, 2, 5)),
        (15, date(2022, 12, 15), date(2023, 1, 15)),
        (31, date(2022, 12, 31), date(2023, 1, 31)),
    ],
)
def test_before_that_the_first_period_goes_by_the_new_day(
    world: World, payment_day: int, billed_from: date, first_due: date
) -> None:
    distributor = books.a_payer(date(2023, 1, 10))
    books.store(books.an_account(distributor, 1, counts=2, subscribed_on=date(2023, 1, 10)))
    assert put(world, distributor, payment_day=payment_day).status == 200
    known = get_distributor(EVERYTHING, distributor.distributor)
    assert (known.payment_day, known.billed_from_on) == (payment_day, billed_from)
    assert get_schedule(EVERYTHING, distributor, "monthly").due_at == books.midnight(first_due)
    world.now = books.midnight(first_due)
    books.run_month(world)
    [bill] = books.bills(distributor)
    assert (bill.state, bill.period_start_on, bill.period_end_on) == ("issued", billed_from, first_due)
    [line] = books.lines(bill)
    assert (line.days, line.of_days) == ((first_due - date(2023, 1, 10)).days, (first_due - billed_from).days)
    books.check_books(distributor)


def test_the_currency_is_that_of_the_prices(world: World) -> None:
    distributor = books.a_payer(date(2023, 1, 10))
    answer = put(world, distributor, currency="EUR")
    assert (answer.status, answer.code) == (409, "prices_agreed")
    unpriced = books.a_payer(date(2023, 1, 10), "south", prices=None)
    assert put(world, unpriced, currency="EUR").status == 200
    assert get_distributor(EVERYTHING, unpriced.distributor).currency == "EUR"
    assert list_price_books(EVERYTHING, unpriced) == []


@pytest.mark.parametrize(
    "values",
    [
        {"payment_day": 0},
        {"payment_day": 32},
        {"currency": "XXX"},
        {"currency": "us"},
        {"country": "ZZ"},
        {"tax_id": "LU1"},
    ],
)
def test_what_is_wrong_is_refused_and_nothing_changed(world: World, values: dict[str, Any]) -> None:
    distributor = books.a_payer(date(2023, 1, 10), prices=None)
    answer = put(world, distributor, **values)
    assert (answer.status, answer.code) == (400, "invalid"), answer.text
    assert shown(world, distributor)["complete"] is False


def test_the_audit_trail_says_what_changed_but_not_to_what(world: World) -> None:
    distributor = books.a_payer(date(2023, 1, 10))
    put(world, distributor)
    put(world, distributor)
    world.advance(seconds=1)
    put(world, distributor, city="Esch", delivery="link")
    *_, entry = entries = list(query(AuditEntry, keys.node(distributor), "AUDIT#"))
    assert len(entries) == 2
    assert entry.description == "Updated billing details: city, delivery"


def test_a_bill_goes_to_the_billing_address_as_it_wants_it(world: World, north: Node) -> None:
    put(world, north, billing_email="ledger@north.example.com", delivery="link")
    world.now = datetime(2023, 2, 24, 3, tzinfo=UTC)
    books.run_month(world)
    world.stream("notifications.deliver_outbox")
    world.work("billing.on_document_wanted", "Documents")
    world.stream("notifications.deliver_outbox")
    world.work("notifications.on_mail_wanted", "Mail")
    [bill, *_] = sorted(books.bills(north), key=lambda each: -int(each.reference))
    said = [text for text in world.mail_to("ledger@north.example.com") if bill.reference in text]
    assert said
    assert f"https://portal.example.com/billing/history/{bill.reference}" in said[-1]


def test_only_the_distributor_may(world: World, north: Node) -> None:
    for caller in (OPERATOR, administrator(north.child("prt_1"))):
        assert world.call("billing.set_payment_details", caller, body=FORM).code == "not_permitted"


def test_prices_of_a_later_day_do_not_hold_before(world: World) -> None:
    distributor = books.a_payer(date(2022, 12, 24), prices=None)
    books.store([books.priced(distributor, date(2023, 3, 1), books.PRICES)])
    assert put(world, distributor, payment_day=5).status == 200
    assert [each.effective_on for each in list_price_books(EVERYTHING, distributor)] == [date(2023, 3, 1)]


def test_a_draft_and_the_payment_details_end_in_one_currency(world: World, harness: Harness) -> None:
    """Whichever is written while the other is being decided."""
    distributor = books.a_payer(date(2023, 1, 10), prices=None)
    values = {"counts": 3, "plan": "annual", "subscribed_on": date(2023, 1, 10)}
    books.store(books.an_account(distributor, 1, **values))
    world.run("billing.run_annual_billing")
    [message] = world.messages("Billing")

    def draft() -> None:
        world.deliver("billing.on_billing_due", message)

    def details() -> Answer:
        return put(world, distributor, currency="EUR", payment_day=24)

    start, seen = harness.snapshot(), set()
    for seed in range(16):
        changed, _ = harness.run_together([details, draft], seed=seed)
        currency = get_distributor(EVERYTHING, distributor.distributor).currency
        seen.add((changed.result.status, currency, *(bill.currency for bill in books.bills(distributor))))
        harness.restore(start)
    assert seen == {(200, "EUR", "EUR"), (409, "USD", "USD")}


def test_a_draft_is_not_priced_in_another_currency(world: World) -> None:
    distributor = books.a_payer(date(2023, 1, 10), prices=None)
    values = {"counts": 3, "plan": "annual", "subscribed_on": date(2023, 1, 10)}
    books.store(books.an_account(distributor, 1, **values))
    books.run_year(world)
    [bill] = books.bills(distributor)
    known = get_distributor(EVERYTHING, distributor.distributor)
    assert drafts.repriced(known, bill, date(2023, 1, 10))["terms"]["currency"] == "USD"
    books.store([books.priced(distributor, date(2023, 1, 10), books.PRICES | {"currency": "EUR"})])
    with pytest.raises(drafts.OtherCurrency):
        drafts.repriced(known, bill, date(2023, 1, 10))
