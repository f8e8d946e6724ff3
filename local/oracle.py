"""What a distributor's bills must say, worked out anew from the events that were sent.

The rules of money in their plainest form, day by day and entity by entity. It shares no code with the portal,
so that a mistake would have to be made twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from math import floor

Key = tuple[str, str, str]
"""Of a line: account id, service, kind (`monthly` or `true_up`)."""


@dataclass(frozen=True)
class Price:
    """In minor units, before discount; from `tier` entities on every one costs the tier's price."""

    monthly: int
    annual: int
    tier: int
    tier_monthly: int
    tier_annual: int

    def of(self, quantity: int, *, annual: bool) -> int:
        if quantity >= self.tier:
            return self.tier_annual if annual else self.tier_monthly
        return self.annual if annual else self.monthly


@dataclass(frozen=True)
class Line:
    quantity: int
    unit_price: int
    days: int
    of_days: int
    amount: int


@dataclass
class Task:
    service: str
    deleted_at: datetime | None = None
    entities: dict[str, list[tuple[datetime, str, bool]]] = field(default_factory=dict)
    """By entity: from when on, by which event, it is billable or not."""

    def count(self, day: date) -> int:
        """Billable entities when the UTC day ends."""
        midnight = datetime.combine(day + timedelta(days=1), time(), UTC)
        if self.deleted_at is not None and self.deleted_at < midnight:
            return 0
        states = ([state for state in told if state[0] < midnight] for told in self.entities.values())
        return sum(max(known)[2] for known in states if known)


@dataclass
class Account:
    account_id: str
    plan: str = ""
    """`monthly`, `annual`, or empty on trial."""
    subscribed_on: date | None = None
    ended_on: date | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    invoiced: dict[str, int] | None = None
    """By service, what its annual term was invoiced for; None before that."""

    def count(self, service: str, day: date) -> int:
        return sum(task.count(day) for task in self.tasks.values() if task.service == service)

    def counts(self, day: date) -> dict[str, int]:
        """By service, those that have any."""
        found = {task.service: self.count(task.service, day) for task in self.tasks.values()}
        return {service: count for service, count in found.items() if count}


@dataclass(frozen=True)
class Terms:
    """What was agreed with the distributor; fractions are exact."""

    prices: dict[str, Price]
    discount: Fraction
    tax: Fraction

    def amount(self, quantity: int, unit_price: int, days: int, of_days: int) -> int:
        return rounded(quantity * unit_price * (1 - self.discount) * Fraction(days, of_days))

    def monthly(self, account: Account, start: date, end: date) -> Iterator[tuple[Key, Line]]:
        """The account's lines on the bill of the period from `start` to the day before `end`."""
        if account.plan == "monthly" and account.subscribed_on is not None:
            first, after = max(start, account.subscribed_on), min(end, account.ended_on or end)
            subscribed = [first + timedelta(days=number) for number in range((after - first).days)]
            for service in {task.service for task in account.tasks.values()}:
                quantity = max((account.count(service, day) for day in subscribed), default=0)
                if quantity:
                    price = self.prices[service].of(quantity, annual=False)
                    days, of_days = len(subscribed), (end - start).days
                    amount = self.amount(quantity, price, days, of_days)
                    yield (
                        (account.account_id, service, "monthly"),
                        Line(quantity, price, days, of_days, amount),
                    )
        if account.plan == "annual" and account.invoiced is not None and account.ended_on is None:
            yield from self._grown(account, end)

    def _grown(self, account: Account, payment_date: date) -> Iterator[tuple[Key, Line]]:
        began = account.subscribed_on or payment_date
        term_end = _a_year_after(began)
        if not began < payment_date < term_end:
            return
        for service, count in account.counts(payment_date - timedelta(days=1)).items():
            growth = count - (account.invoiced or {}).get(service, 0)
            if growth > 0:
                price = self.prices[service].of(count, annual=True)
                days, of_days = (term_end - payment_date).days, (term_end - began).days
                amount = self.amount(growth, price, days, of_days)
                yield (account.account_id, service, "true_up"), Line(growth, price, days, of_days, amount)

    def invoice(self, account: Account) -> int:
        """The net amount of an account's first annual invoice, issued now; 0: there is none."""
        if account.subscribed_on is None:
            return 0
        account.invoiced = account.counts(account.subscribed_on - timedelta(days=1))
        return sum(
            self.amount(count, self.prices[service].of(count, annual=True), 1, 1)
            for service, count in account.invoiced.items()
        )

    def gross(self, net: int) -> int:
        return net + rounded(net * self.tax)


def rounded(exact: Fraction) -> int:
    """Half up, to the minor unit."""
    return floor(exact + Fraction(1, 2))


def period_after(payment_day: int, on: date) -> tuple[date, date]:
    """The first period that starts after a day: its first day and the day on which it is billed."""
    year, month, dates = on.year, on.month, list[date]()
    while len(dates) < 2:
        payment_date = _clipped(year, month, payment_day)
        if payment_date > on:
            dates.append(payment_date)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return dates[0], dates[1]


def _clipped(year: int, month: int, day: int) -> date:
    after = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, min(day, (after - timedelta(days=1)).day))


def _a_year_after(day: date) -> date:
    return _clipped(day.year + 1, day.month, day.day)
