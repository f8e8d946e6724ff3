"""What the bills of a diary must be: worked out day by day and entity by entity, in plain fractions.

The rules of money in their plainest form. It shares no code with the portal, not its calendar nor its rounding, so a
mistake would have to be made twice.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from statistics import median

from tests.simulation.diary import (
    Account,
    Correction,
    Diary,
    Distributor,
    Payment,
    Prices,
    ServicePrice,
    State,
)

ONE_DAY = timedelta(days=1)
DUE_AFTER = timedelta(days=30)
DUE_AFTER_BY_CARD = timedelta(days=7)
TIMES_THE_MEDIAN = 10
MOST_PERIODS_AT_ONCE = 2
PLACES = 10_000
"""An average is rounded to four decimals."""

LineKey = tuple[str, str, str]
"""Account, service, kind."""
Span = tuple[str, date, date | None]
"""A plan, its first day, and the first day after it (None: no end is known)."""


@dataclass(frozen=True)
class Line:
    quantity: Fraction
    unit_price: int
    discount: Fraction
    days: int
    of_days: int
    amount: int


@dataclass
class Bill:
    """A consolidated bill, or the invoice of an account's term."""

    kind: str
    distributor_id: str
    account_id: str
    start: date
    end: date
    method: str
    lines: dict[LineKey, Line]
    net: int
    tax: int
    left_out: dict[str, str] = field(default_factory=dict)
    """Why accounts have no line, as far as there is one possible reason."""
    parked: bool = False

    @property
    def gross(self) -> int:
        return self.net + self.tax

    @property
    def due_after(self) -> timedelta:
        return DUE_AFTER_BY_CARD if self.method == "credit_card" else DUE_AFTER


@dataclass
class Settlement:
    """What payments and credit notes have left of a bill."""

    paid: int = 0
    credited_net: int = 0
    credited_tax: int = 0
    by_line: dict[LineKey, int] = field(default_factory=dict)
    """Amounts credited."""

    @property
    def credited(self) -> int:
        return self.credited_net + self.credited_tax


class Oracle:
    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self._bills: dict[tuple[str, str, date], Bill] = {}
        self._grown: defaultdict[tuple[str, date], dict[date, dict[str, Fraction]]] = defaultdict(dict)
        """By account and first day of the term: growth that was billed, by payment date and service."""
        self._told: dict[str, list[tuple[str, datetime, str, datetime, State]]] = {}
        self._events_read = 0

    # Bills

    def bills(self) -> dict[tuple[str, str, date], Bill]:
        """By kind, whose it is and the day that names it (of a month its end, of a term its first day), every
        bill that was begun and has a line to charge for.
        """
        due = [(end, 1, distributor_id, at) for (distributor_id, end), at in self.diary.billing_begun.items()]
        due += [(start, 0, account_id, at) for (account_id, start), at in self.diary.invoicing_begun.items()]
        for on, is_monthly, of, as_of in sorted(due):
            key = ("monthly" if is_monthly else "annual", of, on)
            if key not in self._bills:
                made = self.month(of, on, as_of) if is_monthly else self.invoice(of, on, as_of)
                self._bills[key] = made
        return {key: bill for key, bill in self._bills.items() if bill.lines}

    def month(self, distributor_id: str, end: date, as_of: datetime) -> Bill:
        """A distributor's consolidated bill of the period that ends on a day, by what is known at an instant."""
        distributor = self.diary.distributors[distributor_id]
        start = period_start(distributor.payment_day, end)
        prices = _in_effect(distributor.prices, start, as_of)
        lines: dict[LineKey, Line] = {}
        left_out: dict[str, str] = {}
        for account in self.diary.accounts_of(distributor_id):
            if account.created_at > as_of:
                continue
            spans = self.spans(account, as_of)
            own = dict(self._monthly(account, spans, distributor, prices, start, end, as_of))
            own |= dict(self._true_up(account, spans, distributor, prices, end, as_of))
            if any(line.amount for line in own.values()):
                lines |= own
            elif reason := self._reason(account, spans, start, end):
                left_out[account.account_id] = reason
        bill = self._bill("monthly", distributor, "", start, end, distributor.method_at(as_of), lines)
        bill.left_out = left_out
        bill.parked = bool(lines) and (self._is_far_above(bill) or self._catches_up_too_much(bill, as_of))
        for (account_id, service, kind), line in lines.items():
            if kind == "true_up":
                _, first, _ = self._span_on(self.spans(self.diary.accounts[account_id], as_of), end)
                term, _ = term_on(first, end)
                self._grown[account_id, term].setdefault(end, {})[service] = line.quantity
        return bill

    def invoice(self, account_id: str, start: date, as_of: datetime) -> Bill:
        """The invoice of an account's term that begins on a day."""
        account = self.diary.accounts[account_id]
        distributor = self.diary.distributors[account.distributor_id]
        prices = _in_effect(distributor.prices, start, as_of)
        _, first, _ = self._span_on(self.spans(account, as_of), start)
        _, end = term_on(first, start)
        lines = {}
        for service, quantity in self.counts(account, start - ONE_DAY, as_of).items():
            lines[account_id, service, "annual"] = _line(prices, service, quantity, quantity, True, 1, 1)
        days = (end - start).days
        lines = {key: _replaced(line, days) for key, line in lines.items()}
        if not any(line.amount for line in lines.values()):
            lines = {}
        return self._bill("annual", distributor, account_id, start, end, "invoice", lines)

    def terms_begun(self, account_id: str, before: date, as_of: datetime) -> list[date]:
        """The first days of the terms that an account owes and that begin before a day."""
        account, starts = self.diary.accounts[account_id], []
        for plan, first, after in self.spans(account, as_of):
            number = 0
            while plan == "annual" and (start := a_year_later(first, number)) < before:
                if after is not None and start >= after:
                    break
                starts.append(start)
                number += 1
        return starts

    def _bill(
        self,
        kind: str,
        distributor: Distributor,
        account_id: str,
        start: date,
        end: date,
        method: str,
        lines: dict[LineKey, Line],
    ) -> Bill:
        net = sum(line.amount for line in lines.values())
        tax = 0 if distributor.reverse_charge else rounded(net * distributor.tax)
        return Bill(kind, distributor.distributor_id, account_id, start, end, method, lines, net, tax)

    def left_out(self, distributor_id: str, end: date) -> dict[str, str]:
        """Which accounts have no line on a bill that was begun, and why."""
        return self._bills["monthly", distributor_id, end].left_out

    def is_parked(self, distributor_id: str, end: date) -> bool:
        """Whether the bill of a period that was begun waits, or had to wait, for an operator."""
        return self._bills["monthly", distributor_id, end].parked

    def _catches_up_too_much(self, bill: Bill, as_of: datetime) -> bool:
        payment_day = self.diary.distributors[bill.distributor_id].payment_day
        due = [day for day in days_of(bill.end, as_of.date() + ONE_DAY) if is_payment_date(payment_day, day)]
        return len(due) > MOST_PERIODS_AT_ONCE

    def _is_far_above(self, bill: Bill) -> bool:
        earlier = [
            other
            for other in self._bills.values()
            if (other.kind, other.distributor_id, other.method)
            == ("monthly", bill.distributor_id, bill.method)
            and other.lines
            and other.end < bill.end
        ]
        last = sorted(earlier, key=lambda other: other.end)[-3:]
        return len(last) == 3 and bill.gross > TIMES_THE_MEDIAN * median(other.gross for other in last)

    # Lines

    def _monthly(
        self,
        account: Account,
        spans: Iterable[Span],
        distributor: Distributor,
        prices: Prices,
        start: date,
        end: date,
        as_of: datetime,
    ) -> Iterator[tuple[LineKey, Line]]:
        for plan, first, after in spans:
            subscribed = [
                day for day in days_of(start, end) if first <= day and (after is None or day < after)
            ]
            if plan != "monthly" or not subscribed:
                continue
            counted = [self.counts(account, day, as_of) for day in subscribed]
            for service in sorted({service for counts in counted for service in counts}):
                quantity = _quantity(
                    prices.services[service].method, [counts.get(service, Fraction()) for counts in counted]
                )
                if quantity:
                    line = _line(
                        prices, service, quantity, quantity, False, len(subscribed), (end - start).days
                    )
                    yield (account.account_id, service, "monthly"), line

    def _true_up(
        self,
        account: Account,
        spans: list[Span],
        distributor: Distributor,
        present: Prices,
        on: date,
        as_of: datetime,
    ) -> Iterator[tuple[LineKey, Line]]:
        plan, first, after = self._span_on(spans, on)
        if plan != "annual" or not first < on or (after is not None and after <= on):
            return
        term, term_end = term_on(first, on)
        begun = self.diary.invoicing_begun.get((account.account_id, term))
        if term == on or begun is None:
            return
        invoice = self._bills["annual", account.account_id, term]
        agreed = _in_effect(distributor.prices, term, begun)
        services = {**present.services, **agreed.services}
        prices = Prices(agreed.effective_on, agreed.set_at, agreed.discount, services)
        paid_for: defaultdict[str, Fraction] = defaultdict(Fraction)
        for (_, service, _), line in invoice.lines.items():
            paid_for[service] += line.quantity
        for earlier, grown in self._grown[account.account_id, term].items():
            for service, quantity in grown.items():
                paid_for[service] += quantity if earlier < on else 0
        for service, standing in self.counts(account, on - ONE_DAY, as_of).items():
            growth = standing - paid_for[service]
            if growth > 0:
                days, of_days = (term_end - on).days, (term_end - term).days
                line = _line(prices, service, growth, standing, True, days, of_days)
                yield (account.account_id, service, "true_up"), line

    def _reason(self, account: Account, spans: list[Span], start: date, end: date) -> str:
        """Why an account without a line has none; empty where more than one plan may be the reason."""
        if not spans or spans[0][1] >= end:
            return "trial"
        if len(spans) > 1:
            return ""
        plan, first, after = spans[0]
        if plan == "annual":
            return "" if after is not None and after <= end else "annual"
        return "removed" if after is not None and max(first, start) >= after else "free"

    # Subscriptions

    def spans(self, account: Account, as_of: datetime) -> list[Span]:
        """What an account is subscribed to and when, by what is known at an instant."""
        if account.mode == "subscription_without_trial":
            first: tuple[date, str] | None = (account.created_at.date(), account.plan)
        elif account.subscribed and account.subscribed[0] <= as_of:
            first = (account.subscribed[0].date(), account.subscribed[1])
        else:
            ends_at = account.trial_ends_at
            removed_first = (
                account.removed_at is not None and ends_at is not None and account.removed_at < ends_at
            )
            over = ends_at is not None and ends_at <= as_of and not removed_first
            first = (ends_at.date(), account.plan) if over and ends_at and account.plan else None
        if first is None:
            return []
        begins = dict([first]) | {on: plan for decided_at, plan, on in account.changes if decided_at <= as_of}
        ended = account.removed_at.date() if account.removed_at and account.removed_at <= as_of else None
        plans = [(on, begins[on]) for on in sorted(begins)]
        plans = [plans[0], *(each for each in plans[1:] if ended is None or each[0] < ended)]
        ends = [on for on, _ in plans[1:]] + [ended]
        return [(plan, on, end) for (on, plan), end in zip(plans, ends, strict=True)]

    @staticmethod
    def _span_on(spans: list[Span], day: date) -> Span:
        """The last span that has begun by a day; none is like one that never begins."""
        return next((span for span in reversed(spans) if span[1] <= day), ("", date.max, None))

    # Counts

    def counts(self, account: Account, day: date, as_of: datetime) -> dict[str, Fraction]:
        """By service, what its entities count when a UTC day ends; services that count nothing are left out."""
        midnight = datetime.combine(day + ONE_DAY, time(), UTC)
        distributor = self.diary.distributors[account.distributor_id]
        period = last_payment_date(distributor.payment_day, day)
        prices = _in_effect(distributor.prices, period, as_of)
        heaviest: dict[tuple[str, str, str], Fraction] = {}
        for task_id, task in account.tasks.items():
            if task.deleted_at is not None and task.deleted_at < midnight:
                continue
            service = prices.services.get(task.service)
            for state in self._states(task_id, midnight, as_of):
                one = task.service, state.entity_id, state.kind
                heaviest[one] = max(heaviest.get(one, Fraction()), _weight(task.service, service, state))
        totals: defaultdict[str, Fraction] = defaultdict(Fraction)
        for (name, _, _), weight in heaviest.items():
            totals[name] += weight
        return {name: total for name, total in totals.items() if total}

    def _states(self, task_id: str, midnight: datetime, as_of: datetime) -> Iterable[State]:
        """Of each entity of a task the last that was told of it before a midnight."""
        for event in self.diary.events[self._events_read :]:
            for state in event.states:
                told = event.task_id, event.occurred_at, event.event_id, event.told_at, state
                self._told.setdefault(event.task_id, []).append(told)
        self._events_read = len(self.diary.events)
        last: dict[str, tuple[datetime, str, State]] = {}
        for _, occurred_at, event_id, told_at, state in self._told.get(task_id, ()):
            if told_at > as_of or occurred_at >= midnight:
                continue
            known = last.get(state.entity_id)
            if known is None or (occurred_at, event_id) > known[:2]:
                last[state.entity_id] = occurred_at, event_id, state
        return (state for _, _, state in last.values())

    # Money

    def settle(self, by_reference: dict[str, Bill]) -> dict[str, Settlement]:
        """What has become of the bills with these references, by the money that was recorded."""
        settled = {reference: Settlement() for reference in by_reference}
        for entry in self.diary.money:
            if isinstance(entry, Payment):
                settled[entry.reference].paid += entry.minor - entry.excess
            else:
                _credit(
                    by_reference[entry.reference],
                    settled[entry.reference],
                    entry,
                    self._rate(entry, by_reference),
                )
        return settled

    def _rate(self, entry: Correction, by_reference: dict[str, Bill]) -> Fraction:
        distributor = self.diary.distributors[by_reference[entry.reference].distributor_id]
        return Fraction() if distributor.reverse_charge else distributor.tax


def _credit(bill: Bill, so_far: Settlement, note: Correction, rate: Fraction) -> None:
    if note.lines:
        net = 0
        for key, right in note.lines:
            line = bill.lines[key]
            should_be = rounded(
                right * line.unit_price * (1 - line.discount) * Fraction(line.days, line.of_days)
            )
            less = line.amount - so_far.by_line.get(key, 0) - should_be
            so_far.by_line[key] = so_far.by_line.get(key, 0) + less
            net += less
        left = rounded((bill.net - so_far.credited_net - net) * rate)
        tax = min(max(bill.tax - so_far.credited_tax - left, 0), bill.tax - so_far.credited_tax)
    else:
        tax = rounded(Fraction((so_far.credited + note.gross) * bill.tax, bill.gross)) - so_far.credited_tax
        tax = max(tax, 0, note.gross - (bill.net - so_far.credited_net))
        tax = min(tax, note.gross, bill.tax - so_far.credited_tax)
        net = note.gross - tax
    so_far.credited_net += net
    so_far.credited_tax += tax


def _line(
    prices: Prices,
    service: str,
    quantity: Fraction,
    whole: Fraction,
    is_annual: bool,
    days: int,
    of_days: int,
) -> Line:
    price = prices.services[service]
    unit = price.annual if is_annual else price.monthly
    reached = -1
    for minimum, monthly, annual in price.tiers:
        if reached < minimum <= whole:
            reached, unit = minimum, annual if is_annual else monthly
    amount = rounded(quantity * unit * (1 - prices.discount) * Fraction(days, of_days))
    return Line(quantity, unit, prices.discount, days, of_days, amount)


def _replaced(line: Line, days: int) -> Line:
    """The same line of a whole term of so many days."""
    return Line(line.quantity, line.unit_price, line.discount, days, days, line.amount)


def _quantity(method: str, counts: list[Fraction]) -> Fraction:
    if method == "peak":
        return max(counts)
    if method == "last":
        return counts[-1]
    return Fraction(rounded(sum(counts, start=Fraction()) * PLACES / len(counts)), PLACES)


def _weight(service: str, price: ServicePrice | None, state: State) -> Fraction:
    if service == "microsoft_365_exchange" and state.kind == "mailbox" and state.licensed is False:
        return Fraction()
    agreed = dict(price.weights) if price else {}
    return agreed.get(state.status, Fraction(state.status != "inactive"))


def _in_effect(versions: Iterable[Prices], on: date, as_of: datetime) -> Prices:
    known = [each for each in versions if each.effective_on <= on and each.set_at <= as_of]
    return max(known, key=lambda each: (each.effective_on, each.set_at))


def rounded(exact: Fraction) -> int:
    """Half up; nothing here is below zero."""
    doubled = 2 * exact + 1
    return doubled.numerator // (2 * doubled.denominator)


# The calendar


def is_payment_date(payment_day: int, day: date) -> bool:
    return day.day == payment_day or (day.day < payment_day and (day + ONE_DAY).day == 1)


def last_payment_date(payment_day: int, day: date) -> date:
    """The last one by a day, that day included."""
    while not is_payment_date(payment_day, day):
        day -= ONE_DAY
    return day


def next_payment_date(payment_day: int, day: date) -> date:
    """The first one after a day."""
    day += ONE_DAY
    while not is_payment_date(payment_day, day):
        day += ONE_DAY
    return day


def period_start(payment_day: int, end: date) -> date:
    return last_payment_date(payment_day, end - ONE_DAY)


def days_of(start: date, end: date) -> list[date]:
    return [start + number * ONE_DAY for number in range((end - start).days)]


def a_year_later(first: date, years: int) -> date:
    """The anniversary; of a 29 February the 28th where there is none."""
    if (first.month, first.day) != (2, 29):
        return date(first.year + years, first.month, first.day)
    return date(first.year + years, 3, 1) - ONE_DAY


def term_on(first: date, day: date) -> tuple[date, date]:
    """The term of a subscription since `first` that a day falls in: its first day and the first one after it."""
    number = 0
    while a_year_later(first, number + 1) <= day:
        number += 1
    return a_year_later(first, number), a_year_later(first, number + 1)
