"""True-ups: annual accounts' growth above what was invoiced, on the next payment day's consolidated bill."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from portal.accounts.records import Renewal
from portal.billing.drafts import price_book_of
from portal.billing.rating import AccountUsage, Line, PriceBook, Rated, rate_true_up
from portal.billing.records import bill_key, find_bill
from portal.billing.usage import quantity
from portal.change import Change
from portal.periods import Period, term_containing
from portal.scope import EVERYTHING
from portal.tree import Node

_NONE = Rated((), "annual")


def may_grow(account: AccountUsage, payment_date: date) -> bool:
    """Whether the account is in the midst of a term on that day.

    On a term's first day its own invoice counts the same eve, and an account that has ended by that day owes
    nothing in advance.
    """
    if account.plan != "annual" or account.subscribed_on is None:
        return False
    if account.ended_on is not None and account.ended_on <= payment_date:
        return False
    return (
        account.subscribed_on < payment_date
        and term_containing(account.subscribed_on, payment_date).start != payment_date
    )


def rate_growth(
    account: AccountUsage, at: Node, renewal: Renewal | None, payment_date: date, present: PriceBook
) -> Rated:
    """The account's true-up, at the prices its term was invoiced at; `present` prices what those do not know.

    None for a term without an invoice (an operator has still to release it): what to measure against is not
    known.

    Raises:
        UnpricedService: it uses what neither price book knows.
    """
    if account.subscribed_on is None or renewal is None or not _is_invoiced(renewal, payment_date):
        return _NONE
    invoiced = invoiced_by(renewal, payment_date)
    if not _has_grown(account, invoiced, payment_date):
        return _NONE
    term = term_containing(account.subscribed_on, payment_date)
    invoice = find_bill(EVERYTHING, at.distributor_node, bill_key("annual", term.start, at.account))
    if invoice is None:
        return _NONE
    of_term = price_book_of(invoice)
    prices = replace(of_term, services={**present.services, **of_term.services})
    rated = rate_true_up(account, prices, term, payment_date, invoiced)
    return rated if rated.lines else _NONE


def invoiced_by(renewal: Renewal, payment_date: date) -> dict[str, Decimal]:
    """What the present term was invoiced for before a payment date, earlier true-ups included."""
    total = {service: Decimal(amount) for service, amount in (renewal.invoiced or {}).items()}
    for on, grown in (renewal.true_ups or {}).items():
        if on < payment_date.isoformat():
            for service, amount in grown.items():
                total[service] = total.get(service, Decimal(0)) + Decimal(amount)
    return total


def recorded(renewal: Renewal, payment_date: date, lines: Iterable[Line]) -> Change:
    """The renewal with the true-up of an issued bill; empty where it is recorded or the term is over."""
    grown = {line.service: f"{line.quantity:f}" for line in lines if line.kind == "true_up"}
    known: Mapping[str, Mapping[str, str]] = renewal.true_ups or {}
    on = payment_date.isoformat()
    if not _is_invoiced(renewal, payment_date) or known.get(on) == grown:
        return Change()
    return Change(true_ups={**known, on: grown})


def _is_invoiced(renewal: Renewal, payment_date: date) -> bool:
    """Whether the term in which the payment date falls is the one that was invoiced last."""
    return renewal.term_start_on is not None and renewal.term_start_on < payment_date < renewal.due_at.date()


def _has_grown(account: AccountUsage, invoiced: Mapping[str, Decimal], payment_date: date) -> bool:
    eve = Period(payment_date - timedelta(days=1), payment_date)
    return any(
        quantity(of, eve, "last") > invoiced.get(service, Decimal(0)) for service, of in account.facts.items()
    )
