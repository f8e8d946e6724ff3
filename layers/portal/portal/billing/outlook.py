"""What is going to be billed next: of one account, and of a whole distributor.

Amounts of accounts are before tax; the distributor's next bill shows the tax.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING

from portal.accounts.records import find_accounts_at, find_renewals, list_directory
from portal.billing import records, true_ups
from portal.billing.account_usage import account_usages
from portal.billing.forecast import Forecast, ForecastMethod, forecast
from portal.billing.rating import (
    AccountUsage,
    Line,
    NoPriceInEffect,
    PriceBook,
    Tax,
    Total,
    UnpricedService,
    price_book_in_effect,
    taxed,
)
from portal.distributors.records import get_distributor
from portal.money import Money
from portal.periods import Period, period_containing, subscribed_days, term_containing
from portal.scope import Scope
from portal.subscriptions.rules import DefaultSubscription
from portal.tree import Node

if TYPE_CHECKING:
    from portal.accounts.records import Account, Renewal
    from portal.distributors.records import Distributor

_AT_ONCE = 100
_METHODS: tuple[ForecastMethod, ...] = ("trend", "last_count", "renewal")
"""What is said of several together: the first of them that any has."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """An account's next payment: what it is expected to be, and on which day it is billed."""

    forecast: Forecast
    billed_on: date


@dataclass(frozen=True, slots=True)
class NextBill:
    """What a distributor will be billed for its present period, and for the terms that begin until its end.

    `low` and `high` are the range of `total.gross`. `unpriced` are accounts that are left out because they
    use a service without a price: their bill will wait for an operator.
    """

    period: Period
    method: ForecastMethod
    lines: tuple[Line, ...]
    total: Total
    low: Money
    high: Money
    unpriced: tuple[str, ...]
    as_of: datetime


@dataclass(slots=True)
class Sums:
    """The parts of a next bill while its accounts are gone through; amounts are minor units before tax."""

    lines: list[Line] = field(default_factory=list)
    low: int = 0
    high: int = 0
    methods: set[ForecastMethod] = field(default_factory=set)
    unpriced: list[str] = field(default_factory=list)

    def add(self, account: Node, expected: Iterable[Forecast] | None) -> None:
        """None: no price is known for what the account uses."""
        if expected is None:
            self.unpriced.append(account.account)
        for each in expected or ():
            self.low += each.low.minor
            self.high += each.high.minor
            if each.lines or each.high.minor:
                self.lines += each.lines
                self.methods.add(each.method)


def account_outlook(
    account: "Account",
    usage: records.Usage | None,
    books: Sequence[PriceBook],
    payment_day: int,
    now: datetime,
) -> Outlook | None:
    """The next payment of an account; None where no price is known for what it uses."""
    used, today = _expected(account, usage, now), now.astimezone(UTC).date()
    payments = [(span, _next_billed(span, payment_day, today)) for span in used]
    to_come = [(span, period) for span, period in payments if _has_part_in(span, period)] or payments[-1:]
    on = min(_billed_on(span, period) for span, period in to_come)
    try:
        expected = [
            forecast(span, price_book_in_effect(books, period.start), period, today)
            for span, period in to_come
            if _billed_on(span, period) == on
        ]
    except (UnpricedService, NoPriceInEffect):
        return None
    return Outlook(_together(expected), on)


def load_account_outlooks(
    scope: Scope, distributor: Node, accounts: Iterable["Account"], books: Sequence[PriceBook], now: datetime
) -> dict[str, Outlook]:
    """The next payments of these accounts by id, as far as prices are known."""
    listed = list(accounts)
    payment_day = int(get_distributor(scope, distributor.distributor).payment_day)
    usages = records.find_usages(scope, (account.node for account in listed))
    outlooks = {
        account.account_id: account_outlook(account, usages.get(account.node), books, payment_day, now)
        for account in listed
    }
    return {account_id: outlook for account_id, outlook in outlooks.items() if outlook}


def load_next_bill(
    scope: Scope, distributor: "Distributor", books: Sequence[PriceBook], now: datetime
) -> NextBill:
    """What the accounts that the scope covers will be billed on the distributor's next payment day.

    It goes by the directory, as the billing run will, so what accounts that are removed by now have used is
    in it too.
    """
    sums = Sums()
    for accounts in _in_batches(scope, distributor.node):
        for node, expected in expected_of(scope, distributor, accounts, books, now):
            sums.add(node, expected)
    period = period_containing(int(distributor.payment_day), now.astimezone(UTC).date())
    return summed(distributor, period, sums, now)


def expected_of(
    scope: Scope,
    distributor: "Distributor",
    accounts: Mapping[Node, "Account"],
    books: Sequence[PriceBook],
    now: datetime,
) -> Iterator[tuple[Node, list[Forecast] | None]]:
    """What each of these accounts, which follow each other by id, is expected to be billed on the next payment day, and
    for a term that begins until then; None where no price is known for what it uses."""
    today = now.astimezone(UTC).date()
    period = period_containing(int(distributor.payment_day), today)
    # Those that a user may access lie scattered among the others.
    load_usages = records.list_usages if scope.accessible is None else records.find_usages
    usages = load_usages(scope, accounts)
    used = {node: _expected(account, usages.get(node), now) for node, account in accounts.items()}
    growing = [node for node, of in used.items() if any(true_ups.may_grow(each, period.end) for each in of)]
    renewals = find_renewals(scope, growing)
    for node, in_spans in used.items():
        try:
            expected = [
                each for span in in_spans for each in _of_span(span, node, books, period, today, renewals)
            ]
        except (UnpricedService, NoPriceInEffect):
            yield node, None
        else:
            yield node, expected


def summed(distributor: "Distributor", period: Period, sums: Sums, as_of: datetime) -> NextBill:
    """The next bill that these parts make."""
    tax = Tax(distributor.tax_rate, distributor.tax_name or "", bool(distributor.reverse_charge))
    net, low, high = (
        taxed(Money(minor, distributor.currency), tax)
        for minor in (sum(line.amount for line in sums.lines), sums.low, sums.high)
    )
    method: ForecastMethod = next((each for each in _METHODS if each in sums.methods), "last_count")
    unpriced = tuple(sums.unpriced)
    return NextBill(period, method, tuple(sums.lines), net, low.gross, high.gross, unpriced, as_of)


def _of_span(
    used: AccountUsage,
    at: Node,
    books: Sequence[PriceBook],
    period: Period,
    today: date,
    renewals: Mapping[Node, "Renewal"],
) -> Iterator[Forecast]:
    """What falls due for an account until the end of the period: its month, or its renewal and its growth."""
    if used.plan == "monthly" and _has_part_in(used, period):
        yield forecast(used, price_book_in_effect(books, period.start), period, today)
    elif used.plan == "annual" and used.subscribed_on is not None:
        term = _next_term(used.subscribed_on, today)
        if term.start in period and _has_part_in(used, term):
            yield forecast(used, price_book_in_effect(books, term.start), term, today)
        if true_ups.may_grow(used, period.end):
            present = price_book_in_effect(books, period.start)
            lines = true_ups.rate_growth(used, at, renewals.get(at), period.end, present).lines
            amount = Money(sum(line.amount for line in lines), present.currency)
            yield Forecast("last_count", amount, amount, amount, lines)


def _next_term(subscribed_on: date, today: date) -> Period:
    """The next term to begin after `today`: the first one where the subscription is still to come."""
    if subscribed_on > today:
        return term_containing(subscribed_on, subscribed_on)
    return term_containing(subscribed_on, term_containing(subscribed_on, today).end)


def _next_billed(span: AccountUsage, payment_day: int, today: date) -> Period:
    """The next period or term that is billed of a span, if it lasts so long."""
    if span.plan == "annual" and span.subscribed_on is not None:
        return _next_term(span.subscribed_on, today)
    return period_containing(payment_day, max(today, span.subscribed_on or today))


def _billed_on(span: AccountUsage, period: Period) -> date:
    return period.start if span.plan == "annual" else period.end


def _has_part_in(span: AccountUsage, period: Period) -> bool:
    """Whether a month or term is billed of a span: it has days in the month, or stands when the term begins."""
    if span.subscribed_on is None:
        return False
    if span.plan == "annual":
        return span.ended_on is None or period.start < span.ended_on
    return subscribed_days(period, span.subscribed_on, span.ended_on).days > 0


def _together(expected: Sequence[Forecast]) -> Forecast:
    """What is billed on one day, in one or more spans."""
    first, *others = expected
    for each in others:
        first = Forecast(
            min(first.method, each.method, key=_METHODS.index),
            first.amount + each.amount,
            first.low + each.low,
            first.high + each.high,
            first.lines + each.lines,
        )
    return first


def _expected(account: "Account", usage: records.Usage | None, now: datetime) -> list[AccountUsage]:
    """An account's spans as they will be billed: a running trial as what it is going to turn into."""
    used = account_usages(account, usage, now)
    if used[0].subscribed_on is not None or account.state != "trial" or account.trial_ends_at is None:
        return used
    plan = DefaultSubscription.model_validate(account.subscription_default).plan
    if plan is None:
        return [replace(used[0], facts={})]
    return [replace(used[0], plan=plan, subscribed_on=account.trial_ends_at.astimezone(UTC).date())]


def _in_batches(scope: Scope, distributor: Node) -> Iterator[dict[Node, "Account"]]:
    nodes = (entry.account_node for entry in list_directory(scope, distributor))
    covered = (node for node in nodes if scope.covers(node))
    while batch := list(islice(covered, _AT_ONCE)):
        found = find_accounts_at(scope, batch)
        yield {node: found[node] for node in batch if node in found}
