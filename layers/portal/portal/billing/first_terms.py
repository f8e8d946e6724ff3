"""Currency and payment day, as long as no bill is in the making: then a distributor may still choose them."""

from datetime import date
from typing import Any

from portal import keys
from portal.billing import records
from portal.billing.details import PaymentDetails, check_currency, check_still_free
from portal.billing.issue import midnight
from portal.billing.records import PaymentDetailsRecord, PriceBookRecord
from portal.change import Change
from portal.distributors.records import Distributor, get_schedule
from portal.periods import next_payment_date, period_containing
from portal.scope import Scope
from portal.table import Put, Update, Write
from portal.tree import Node


def change(scope: Scope, distributor: Distributor, details: PaymentDetails, today: date) -> list[Write]:
    """What follows from the currency and the payment day in a form: nothing where they stay as they are.

    The first period is the one that the day of joining lies in, so the first bill comes on the new day, at once if
    that has passed. Prices that hold by now hold from that period's first day; those agreed on for a later day do not.

    Raises:
        FixedAfterTheFirstBill, PricesAgreed: it is too late.
    """
    if (distributor.currency, int(distributor.payment_day)) == (details.currency, details.payment_day):
        return []
    schedule = get_schedule(scope, distributor.node, "monthly")
    billed = schedule.bill_sk is not None or any(records.list_bills(scope, distributor.node, limit=1))
    check_still_free(distributor, details, billed=billed)
    books = records.list_price_books(scope, distributor.node)
    check_currency(details.currency, {book.prices["currency"] for book in books})
    joined_on = distributor.created_at.date()
    starts_on = period_containing(details.payment_day, joined_on).start
    terms = Change(currency=details.currency, payment_day=details.payment_day, billed_from_on=starts_on)
    due_at = midnight(next_payment_date(details.payment_day, joined_on))
    return [
        Update(distributor, terms),
        Update(schedule, Change(due_at=due_at)),
        *_prices_from(books, distributor.node, starts_on, today),
    ]


def _prices_from(books: list[PriceBookRecord], node: Node, on: date, today: date) -> list[Write]:
    """The first prices hold from the first period's first day on, once they hold at all."""
    if not books or books[0].effective_on <= on or books[0].effective_on > today:
        return []
    return [Put(PriceBookRecord(keys.node(node), keys.prices(on), effective_on=on, prices=books[0].prices))]


def kept(
    node: Node, stored: PaymentDetailsRecord | None, form: dict[str, Any], address: list[str]
) -> tuple[PaymentDetailsRecord, Write]:
    """The record of a form, and what writes it."""
    if stored is not None:
        return stored, Update(stored, Change(form=form, address=address))
    record = PaymentDetailsRecord(keys.node(node), keys.PAYMENT_DETAILS, form=form, address=address)
    return record, Put(record)
