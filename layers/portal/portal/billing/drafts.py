"""Drafts: what is frozen of a bill before anything is rated, so that nothing changes while it is made."""

from datetime import date, timedelta
from typing import Any

from portal.billing import records
from portal.billing.prices import PriceTerms, price_book
from portal.billing.rating import PriceBook
from portal.billing.seller import seller
from portal.distributors.records import Distributor
from portal.errors import Conflict
from portal.periods import Period
from portal.scope import EVERYTHING

UNLESS_CHOSEN = "invoice"
"""How a distributor pays that has not chosen yet: what it uses is owed all the same."""


def drafted(distributor: Distributor, kind: str, period: Period) -> dict[str, Any]:
    """The attributes of a new draft: who pays, how, which tax, and the prices of the period's first day."""
    prices = frozen_prices(distributor, period.start)
    method = UNLESS_CHOSEN if kind == "annual" else distributor.billing_method or UNLESS_CHOSEN
    return {
        "bill_kind": kind,
        "bill_method": method,
        "state": "draft",
        "period_start_on": period.start,
        "period_end_on": period.end,
        "currency": prices["terms"]["currency"],
        "seller": seller(),
        "payer": payer(distributor),
        "prices": prices,
        "tax_rate": distributor.tax_rate,
        "tax_name": distributor.tax_name,
        "reverse_charge": distributor.reverse_charge,
    }


def payer(distributor: Distributor) -> dict[str, Any]:
    """Who pays, as a bill keeps it: as its payment details say, before they are given as the operator entered it."""
    stored = records.find_payment_details(EVERYTHING, distributor.node)
    if stored is None:
        return {
            "name": distributor.name,
            "email": distributor.email,
            "country": distributor.country,
            "address": distributor.address,
            "tax_id": distributor.tax_id,
        }
    form = stored.form
    return {
        "name": form["company"],
        "email": form["billing_email"],
        "country": form["country"],
        "address": stored.address,
        "tax_id": form["tax_id"] or distributor.tax_id,
    }


def frozen_prices(distributor: Distributor, on: date) -> dict[str, Any]:
    """The version in effect on a day as a bill keeps it; one without any price where there is none yet."""
    versions = records.list_price_books(EVERYTHING, distributor.node)
    in_effect = [version for version in versions if version.effective_on <= on]
    if not in_effect:
        return {"effective_on": on.isoformat(), "terms": {"currency": distributor.currency, "services": {}}}
    return {"effective_on": in_effect[-1].effective_on.isoformat(), "terms": in_effect[-1].prices}


class OtherCurrency(Conflict):
    detail = "The distributor's prices are in another currency than this bill."


def repriced(distributor: Distributor, bill: records.Bill, today: date) -> dict[str, Any]:
    """The version in effect on a bill's first day, completed from today's and then tomorrow's, the earliest that can be
    agreed: what had no price then gets its first one.

    Raises:
        OtherCurrency: they are in another one than the bill.
    """
    days = (bill.period_start_on, today, today + timedelta(days=1))
    frozen, present, coming = (frozen_prices(distributor, on) for on in days)
    if {bill.currency} != {each["terms"]["currency"] for each in (frozen, present, coming)}:
        raise OtherCurrency
    terms = (coming["terms"], present["terms"], frozen["terms"])
    services = {service: price for each in terms for service, price in each["services"].items()}
    return {**frozen, "terms": {**frozen["terms"], "services": services}}


def price_book_of(bill: records.Bill) -> PriceBook:
    """The prices that a bill is rated at."""
    return price_book(
        PriceTerms.model_validate(bill.prices["terms"]), date.fromisoformat(bill.prices["effective_on"])
    )
