"""What is going to be billed next: of one account, and of a whole distributor.

Amounts of accounts are before tax; the distributor's next bill shows the tax.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING

from portal.accounts.records import find_accounts_at, find_renewals, list_directory
from portal.billing import records, true_ups
from portal.billing.account_usage import account_usage
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
from portal.periods import Period, period_containing, term_containing
from portal.scope import Scope
from portal.subscriptions.rules import DefaultSubscription
from portal.tree import Node

if TYPE_CHECKING:
    from portal.accounts.records import Account, Renewal
    from portal.distributors.records import Distributor

_AT_ONCE = 100


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


@dataclass(slots=True)
class _Sums:
    """The parts of a next bill while its accounts are gone through; amounts are minor units before tax."""

    lines: list[Line]
    low: int
    high: int
    methods: set[ForecastMethod]
    unpriced: list[str]

    def add(self, of_account: Forecast) -> None:
        self.low += of_account.low.minor
        self.high += of_account.high.minor
        if of_account.lines or of_account.high.minor:
            self.lines += of_account.lines
            self.methods.add(of_account.method)


def account_outlook(
    account: "Account",
    usage: records.Usage | None,
    books: Sequence[PriceBook],
    payment_day: int,
    now: datetime,
) -> Outlook | None:
    """The next payment of an account; None where no price is known for what it uses."""
    used, today = _expected(account, usage, now), now.astimezone(UTC).date()
    on = max(today, used.subscribed_on or today)
    period = period_containing(payment_day, on)
    if used.plan == "annual" and used.subscribed_on is not None:
        period = _next_term(used.subscribed_on, today)
    try:
        expected = forecast(used, price_book_in_effect(books, period.start), period, today)
    except (UnpricedService, NoPriceInEffect):
        return None
    return Outlook(expected, period.start if used.plan == "annual" else period.end)


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
    today = now.astimezone(UTC).date()
    period = period_containing(int(distributor.payment_day), today)
    sums = _Sums([], 0, 0, set(), [])
    for accounts in _in_batches(scope, distributor.node):
        usages = records.find_usages(scope, accounts)
        used = {node: _expected(account, usages.get(node), now) for node, account in accounts.items()}
        renewals = find_renewals(scope, [node for node in used if true_ups.may_grow(used[node], period.end)])
        for node, each in used.items():
            try:
                for expected in _of_account(each, node, books, period, today, renewals):
                    sums.add(expected)
            except (UnpricedService, NoPriceInEffect):
                sums.unpriced.append(each.account_id)
    tax = Tax(distributor.tax_rate, distributor.tax_name or "", bool(distributor.reverse_charge))
    net, low, high = (
        taxed(Money(minor, distributor.currency), tax)
        for minor in (sum(line.amount for line in sums.lines), sums.low, sums.high)
    )
    methods: Sequence[ForecastMethod] = ("trend", "last_count", "renewal")
    method: ForecastMethod = next((each for each in methods if each in sums.methods), "last_count")
    return NextBill(period, method, tuple(sums.lines), net, low.gross, high.gross, tuple(sums.unpriced))


def _of_account(
    used: AccountUsage,
    at: Node,
    books: Sequence[PriceBook],
    period: Period,
    today: date,
    renewals: Mapping[Node, "Renewal"],
) -> Iterator[Forecast]:
    """What falls due for an account until the end of the period: its month, or its renewal and its growth."""
    if used.plan == "monthly":
        yield forecast(used, price_book_in_effect(books, period.start), period, today)
    elif used.plan == "annual" and used.subscribed_on is not None:
        term = _next_term(used.subscribed_on, today)
        if term.start in period:
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


def _expected(account: "Account", usage: records.Usage | None, now: datetime) -> AccountUsage:
    """An account as it will be billed: a running trial as what it is going to turn into."""
    used = account_usage(account, usage, now)
    if used.subscribed_on is not None or account.state != "trial" or account.trial_ends_at is None:
        return used
    plan = DefaultSubscription.model_validate(account.subscription_default).plan
    if plan is None:
        return replace(used, facts={})
    return replace(used, plan=plan, subscribed_on=account.trial_ends_at.astimezone(UTC).date())


def _in_batches(scope: Scope, distributor: Node) -> Iterator[dict[Node, "Account"]]:
    nodes = (entry.account_node for entry in list_directory(scope, distributor))
    covered = (node for node in nodes if scope.covers(node))
    while batch := list(islice(covered, _AT_ONCE)):
        found = find_accounts_at(scope, batch)
        yield {node: found[node] for node in batch if node in found}
