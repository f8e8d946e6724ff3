"""What a change of plan costs, said before it is made: at the prices agreed and the quantities counted so far.

It is rated as the bills will be. What is used from now on can still change it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Literal

from portal.billing import prices
from portal.billing.account_usage import account_usages
from portal.billing.rating import (
    AccountUsage,
    Line,
    NoPriceInEffect,
    PriceBook,
    Rated,
    Tax,
    Total,
    UnpricedService,
    price_book_in_effect,
    rate_month,
    rate_term,
    total,
)
from portal.billing.records import find_usage
from portal.change import Change
from portal.distributors.records import Schedule, get_distributor
from portal.periods import Period, nth_term, period_containing, periods_from
from portal.scope import Scope
from portal.subscriptions.spans import Span

if TYPE_CHECKING:
    from portal.accounts.records import Account


@dataclass(frozen=True, slots=True)
class Charge:
    """What is billed of the account on a day, for a period or a term; `total` is None where a service has no price."""

    kind: Literal["monthly", "annual"]
    period: Period
    billed_on: date
    lines: tuple[Line, ...]
    total: Total | None


@dataclass(frozen=True, slots=True)
class Quote:
    """A change of plan, and what is billed because of it."""

    span: Span
    charges: tuple[Charge, ...]


def load_quote(
    scope: Scope, account: "Account", change: Change, span: Span, schedule: Schedule, now: datetime
) -> Quote:
    """What is billed once `span` begins, which it does by `change` or is agreed.

    To the annual plan: what is still to be billed monthly until then, and the first term. To the monthly plan:
    its first, maybe shorter, period.
    """
    distributor = get_distributor(scope, account.node.distributor)
    used = account_usages(account, find_usage(scope, account.node), now, change)
    at = next(number for number, each in enumerate(used) if each.subscribed_on == span.start)
    payment_day, rates = int(distributor.payment_day), prices.books(scope, distributor.node)
    tax = Tax(distributor.tax_rate, distributor.tax_name or "", bool(distributor.reverse_charge))
    bill = _Billing(rates, distributor.currency, tax, payment_day)
    if span.plan == "monthly":
        return Quote(span, (bill.month(used[at], next(periods_from(payment_day, span.start))),))
    last_day = schedule.due_at.date() - timedelta(days=1)
    unbilled_from_on = period_containing(payment_day, last_day).start
    before = bill.months(used[at - 1], unbilled_from_on) if at else ()
    return Quote(span, (*before, bill.first_term(used[at], span.start)))


@dataclass(frozen=True, slots=True)
class _Billing:
    books: Sequence[PriceBook]
    currency: str
    tax: Tax
    payment_day: int

    def months(self, used: AccountUsage, from_on: date) -> Iterator[Charge]:
        """What a monthly span that ends still costs, period by period."""
        first, end = used.subscribed_on, used.ended_on
        if used.plan != "monthly" or first is None or end is None:
            return
        periods = periods_from(self.payment_day, max(first, from_on))
        yield from (self.month(used, period) for period in takewhile(lambda each: each.start < end, periods))

    def month(self, used: AccountUsage, period: Period) -> Charge:
        try:
            rated = rate_month(used, price_book_in_effect(self.books, period.start), period)
        except (UnpricedService, NoPriceInEffect):
            rated = None
        return self._charge("monthly", period, period.end, rated)

    def first_term(self, used: AccountUsage, on: date) -> Charge:
        term = nth_term(on, 0)
        try:
            rated = rate_term(used, price_book_in_effect(self.books, on), term)
        except (UnpricedService, NoPriceInEffect):
            rated = None
        return self._charge("annual", term, on, rated)

    def _charge(
        self, kind: Literal["monthly", "annual"], period: Period, on: date, rated: Rated | None
    ) -> Charge:
        if rated is None:
            return Charge(kind, period, on, (), None)
        return Charge(kind, period, on, rated.lines, total(rated.lines, self.currency, self.tax))
