"""True-ups: annual accounts' growth above what was invoiced, on the next payment day's consolidated bill."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from portal.accounts.records import Renewal, find_accounts_at
from portal.billing.drafts import price_book_of
from portal.billing.lines import lines_of
from portal.billing.rating import AccountUsage, Line, PriceBook, Rated, rate_true_up
from portal.billing.records import Bill, BillPart, bill_key, find_bill, get_part
from portal.billing.usage import quantity
from portal.change import Change
from portal.periods import Period, term_containing
from portal.scope import EVERYTHING
from portal.tree import Node

_NONE = Rated((), "annual")
_LONGEST_TERM = timedelta(days=366)


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

    However late the payment date is rated, it is that of the term it falls in. None for a term without an
    invoice (an operator has still to release it): what to measure against is not known.

    Raises:
        UnpricedService: it uses what neither price book knows.
    """
    if account.subscribed_on is None or renewal is None or renewal.term_start_on is None:
        return _NONE
    term = term_containing(account.subscribed_on, payment_date)
    invoice = None
    if renewal.term_start_on == term.start:
        at_first = {service: Decimal(quantity) for service, quantity in (renewal.invoiced or {}).items()}
    elif renewal.term_start_on > term.start and (invoice := _invoice(at, term)):
        part = get_part(EVERYTHING, invoice, 1)
        at_first = {line.service: line.quantity for line in lines_of(part)}
    else:
        return _NONE
    invoiced = with_true_ups(at_first, renewal, Period(term.start, payment_date))
    invoice = invoice or (_invoice(at, term) if _has_grown(account, invoiced, payment_date) else None)
    if invoice is None:
        return _NONE
    of_term = price_book_of(invoice)
    prices = replace(of_term, services={**present.services, **of_term.services})
    rated = rate_true_up(account, prices, term, payment_date, invoiced)
    return rated if rated.lines else _NONE


def grew_and_ended(bill: Bill, part: BillPart) -> bool:
    """Whether a rated part charges for the growth of an account that has ended by the payment day."""
    grown = {line.account_id: line.partner_id for line in lines_of(part) if line.kind == "true_up"}
    nodes = [Node(bill.node.distributor, partner_id, account_id) for account_id, partner_id in grown.items()]
    found = find_accounts_at(EVERYTHING, nodes).values() if nodes else ()
    return any(each.ended_on is not None and each.ended_on <= bill.period_end_on for each in found)


def with_true_ups(invoiced: Mapping[str, Decimal], renewal: Renewal, days: Period) -> dict[str, Decimal]:
    """What a term was invoiced for at first, and by the true-ups of these of its days."""
    total = dict(invoiced)
    for on, grown in (renewal.true_ups or {}).items():
        if date.fromisoformat(on) in days:
            for service, amount in grown.items():
                total[service] = total.get(service, Decimal(0)) + Decimal(amount)
    return total


def recorded(renewal: Renewal, payment_date: date, lines: Iterable[Line]) -> Change:
    """The renewal with the true-up of an issued bill; empty where it is recorded.

    Payment dates come in order, so what is more than a year older is no later one's term any more.
    """
    grown = {line.service: f"{line.quantity:f}" for line in lines if line.kind == "true_up"}
    known: Mapping[str, Mapping[str, str]] = renewal.true_ups or {}
    on = payment_date.isoformat()
    if known.get(on) == grown:
        return Change()
    first = (payment_date - _LONGEST_TERM).isoformat()
    return Change(true_ups={day: each for day, each in known.items() if day > first} | {on: grown})


def _invoice(at: Node, term: Period) -> Bill | None:
    return find_bill(EVERYTHING, at.distributor_node, bill_key("annual", term.start, at.account))


def _has_grown(account: AccountUsage, invoiced: Mapping[str, Decimal], payment_date: date) -> bool:
    eve = Period(payment_date - timedelta(days=1), payment_date)
    return any(
        quantity(of, eve, "last") > invoiced.get(service, Decimal(0)) for service, of in account.facts.items()
    )
