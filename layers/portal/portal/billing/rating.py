"""Rating: what a quantity costs. Bill, preview, forecast and credit note all come through here.

A line is quantity x unit price x (1 - discount) x days / of_days, exact until it is rounded half-up, once, to
the minor unit. Everything else is the sum of lines.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from types import MappingProxyType
from typing import Literal

from portal.billing.usage import DEFAULT_WEIGHTS, Fact, Method, Weights, counts_on, quantity
from portal.errors import Conflict
from portal.money import Money, allocate, exponent_of, round_half_up
from portal.periods import Period, subscribed_days

Plan = Literal["trial", "monthly", "annual"]
Kind = Literal["monthly", "annual", "true_up"]
ExclusionReason = Literal["trial", "annual", "removed", "free"]


class UnpricedService(Conflict):
    """An account uses a service that the price book does not know: nobody may guess its price."""


class NoPriceInEffect(Conflict):
    detail = "No price book is in effect on that day."


@dataclass(frozen=True, slots=True)
class Tier:
    """Unit prices in minor units for accounts whose whole quantity is `minimum` or more."""

    minimum: int
    monthly: int
    annual: int


@dataclass(frozen=True, slots=True)
class ServicePrice:
    """Unit prices, in minor units per billable entity and month or year, before discount."""

    monthly: int
    annual: int
    tiers: tuple[Tier, ...] = ()
    method: Method = "peak"
    weights: Weights = field(default_factory=lambda: DEFAULT_WEIGHTS)

    def __post_init__(self) -> None:
        if any(price < 0 for price in (self.monthly, self.annual)):
            raise ValueError("A unit price cannot be negative.")
        if any(price < 0 for tier in self.tiers for price in (tier.monthly, tier.annual)):
            raise ValueError("A tier's unit price cannot be negative.")
        if len({tier.minimum for tier in self.tiers}) < len(self.tiers):
            raise ValueError("Two tiers begin at the same quantity.")
        if any(weight < 0 for weight in self.weights.values()):
            raise ValueError("A status cannot weigh less than nothing.")

    def unit_price(self, plan: Literal["monthly", "annual"], whole_quantity: Decimal) -> int:
        """The highest tier that the account's whole quantity reaches sets the price of every unit."""
        reached = [tier for tier in self.tiers if tier.minimum <= whole_quantity]
        price = max(reached, key=attrgetter("minimum"), default=None) or self
        return price.monthly if plan == "monthly" else price.annual


@dataclass(frozen=True, slots=True)
class PriceBook:
    """One version of a distributor's prices. `discount` is a fraction: Decimal("0.4") is 40 %."""

    effective_on: date
    currency: str
    discount: Decimal
    services: Mapping[str, ServicePrice]

    def __post_init__(self) -> None:
        exponent_of(self.currency)
        if not 0 <= self.discount <= 1:
            raise ValueError(f"A discount is a fraction from 0 to 1, not {self.discount}.")

    def price_of(self, service: str) -> ServicePrice:
        try:
            return self.services[service]
        except KeyError:
            raise UnpricedService(f"There is no price for {service} from {self.effective_on} on.") from None


@dataclass(frozen=True, slots=True)
class AccountUsage:
    """All that rating must know of an account during one span of its subscription.

    Subscribed to `plan` on the days d with subscribed_on <= d < ended_on (None: it goes on). An account that
    went from one plan to the other has several spans, which abut.
    """

    account_id: str
    partner_id: str
    name: str
    email: str
    plan: Plan
    subscribed_on: date | None = None
    ended_on: date | None = None
    facts: Mapping[str, Sequence[Fact]] = field(default_factory=lambda: MappingProxyType({}))
    """By service."""

    def __post_init__(self) -> None:
        if self.plan != "trial" and self.subscribed_on is None:
            raise ValueError(f"Account {self.account_id} has a {self.plan} plan but no day of subscribing.")


@dataclass(frozen=True, slots=True)
class Line:
    """One account and service on a bill. `unit_price` (before discount) and `amount` are minor units."""

    account_id: str
    partner_id: str
    account_name: str
    account_email: str
    service: str
    kind: Kind
    quantity: Decimal
    unit_price: int
    discount: Decimal
    days: int
    of_days: int
    amount: int


@dataclass(frozen=True, slots=True)
class Rated:
    """Either lines, or the reason why there are none."""

    lines: tuple[Line, ...]
    excluded_reason: ExclusionReason | None = None


@dataclass(frozen=True, slots=True)
class Tax:
    """`rate` is a fraction: Decimal("0.17") is 17 %. With `reverse_charge` the bill charges none of it."""

    rate: Decimal
    name: str
    reverse_charge: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ValueError(f"A tax rate is a fraction from 0 to 1, not {self.rate}.")


NO_TAX = Tax(Decimal(0), "")


@dataclass(frozen=True, slots=True)
class Total:
    """gross = net + tax."""

    net: Money
    tax: Money
    gross: Money


def price_book_in_effect(versions: Iterable[PriceBook], on: date) -> PriceBook:
    """The version that became effective last, `on` at the latest; of two for one day the later listed.

    Raises NoPriceInEffect.
    """
    found = None
    for version in versions:
        if version.effective_on <= on and (found is None or version.effective_on >= found.effective_on):
            found = version
    if found is None:
        raise NoPriceInEffect(f"No price book is in effect on {on}.")
    return found


def rate_month(account: AccountUsage, price_book: PriceBook, period: Period) -> Rated:
    """In arrears: the quantity over the subscribed days of `period`, prorated by those days.

    `price_book` is the one in effect on the period's first day. Raises UnpricedService.
    """
    if _ended_by(account, period.start):
        return Rated((), "removed")
    if account.subscribed_on is None or account.subscribed_on >= period.end:
        return Rated((), "trial")
    if account.plan != "monthly":
        return Rated((), account.plan)
    days = subscribed_days(period, account.subscribed_on, account.ended_on)
    if not days.days:
        return Rated((), "removed")
    return _rated(
        _line(account, price_book, service, "monthly", billed, billed, days.days, period.days)
        for service, facts in _used(account, days)
        if (billed := quantity(facts, days, price_book.price_of(service).method))
    )


def rate_period(spans: Sequence[AccountUsage], price_book: PriceBook, period: Period) -> Rated:
    """The monthly lines of an account, over all its spans. They are given in order; there is at least one.

    Without a line the reason is the one of the span that stood when the period ended, but "free" where a
    monthly one cost nothing. `price_book` as in `rate_month`. Raises UnpricedService.
    """
    rated = [rate_month(span, price_book, period) for span in spans]
    if lines := tuple(line for each in rated for line in each.lines):
        return Rated(lines)
    if any(each.excluded_reason == "free" for each in rated):
        return Rated((), "free")
    begun = [span for span in spans if span.subscribed_on is not None and span.subscribed_on < period.end]
    return rated[max(len(begun) - 1, 0)]


def rate_term(account: AccountUsage, price_book: PriceBook, term: Period) -> Rated:
    """In advance, in full: the quantity at the end of the day before `term`.

    `price_book` is the one in effect on the term's first day. Raises UnpricedService.
    """
    if _ended_by(account, term.start):
        return Rated((), "removed")
    return _rated(
        _line(account, price_book, service, "annual", standing, standing, term.days, term.days)
        for service, standing in _standing_before(account, term.start)
    )


def rate_true_up(
    account: AccountUsage,
    price_book: PriceBook,
    term: Period,
    payment_date: date,
    invoiced: Mapping[str, Decimal],
) -> Rated:
    """The growth, at the end of the day before `payment_date`, above what was invoiced, for the term's rest.

    `invoiced` is the quantity by service that the term's invoice and its earlier true-ups already charge. The
    unit price is that of the term (`price_book` as in `rate_term`), in the tier which the whole quantity has
    now reached. Shrinking gives nothing back. Raises UnpricedService, and ValueError for a payment date
    outside the term.
    """
    if payment_date not in term:
        raise ValueError(f"{payment_date} is not within the term from {term.start} to {term.end}.")
    if _ended_by(account, payment_date):
        return Rated((), "removed")
    days = Period(payment_date, term.end).days
    return _rated(
        _line(account, price_book, service, "true_up", growth, standing, days, term.days)
        for service, standing in _standing_before(account, payment_date)
        if (growth := standing - invoiced.get(service, Decimal(0))) > 0
    )


def amount_for(line: Line, quantity: Decimal) -> int:
    """What a line would have come to, in minor units, for another quantity at the price that it was billed at."""
    return _amount(quantity, line.unit_price, line.discount, line.days, line.of_days)


def total(lines: Iterable[Line], currency: str, tax: Tax = NO_TAX) -> Total:
    """The lines' sum, and the tax on that sum, rounded half-up once."""
    return taxed(Money(sum(line.amount for line in lines), currency), tax)


def taxed(net: Money, tax: Tax = NO_TAX) -> Total:
    """The total of lines whose sum is known."""
    rate = Decimal(0) if tax.reverse_charge else tax.rate
    charged = Money(round_half_up(net.minor * Fraction(rate)), net.currency)
    return Total(net=net, tax=charged, gross=net + charged)


def gross_by_account(lines: Iterable[Line], bill: Total) -> dict[str, Money]:
    """Each account's part of the bill: its net lines and its share of the tax by largest remainder.

    The parts sum to bill.gross exactly. Accounts come in the order of their first lines.
    """
    nets: dict[str, int] = {}
    for line in lines:
        nets[line.account_id] = nets.get(line.account_id, 0) + line.amount
    taxes = allocate(bill.tax.minor, list(nets.values()))
    return {
        account_id: Money(net + tax, bill.gross.currency)
        for (account_id, net), tax in zip(nets.items(), taxes, strict=True)
    }


def _ended_by(account: AccountUsage, day: date) -> bool:
    return account.ended_on is not None and account.ended_on <= day


def _used(account: AccountUsage, days: Period) -> Iterator[tuple[str, Sequence[Fact]]]:
    """The services with anything to bill in `days`, by name: a service never used needs no price."""
    services = sorted(account.facts.items())
    return ((service, facts) for service, facts in services if any(counts_on(facts, days)))


def _standing_before(account: AccountUsage, day: date) -> Iterator[tuple[str, Decimal]]:
    """The services and their counts at the end of the day before `day`."""
    eve = Period(day - timedelta(days=1), day)
    return ((service, quantity(facts, eve, "last")) for service, facts in _used(account, eve))


def _line(
    account: AccountUsage,
    price_book: PriceBook,
    service: str,
    kind: Kind,
    billed: Decimal,
    whole_quantity: Decimal,
    days: int,
    of_days: int,
) -> Line:
    unit_price = price_book.price_of(service).unit_price(
        "monthly" if kind == "monthly" else "annual", whole_quantity
    )
    return Line(
        account_id=account.account_id,
        partner_id=account.partner_id,
        account_name=account.name,
        account_email=account.email,
        service=service,
        kind=kind,
        quantity=billed,
        unit_price=unit_price,
        discount=price_book.discount,
        days=days,
        of_days=of_days,
        amount=_amount(billed, unit_price, price_book.discount, days, of_days),
    )


def _amount(quantity: Decimal, unit_price: int, discount: Decimal, days: int, of_days: int) -> int:
    exact = Fraction(quantity) * unit_price * (1 - Fraction(discount)) * Fraction(days, of_days)
    return round_half_up(exact)


def _rated(lines: Iterable[Line]) -> Rated:
    """Nothing to pay is nothing to bill."""
    kept = tuple(lines)
    return Rated(kept) if any(line.amount for line in kept) else Rated((), "free")
