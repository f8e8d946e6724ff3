"""What the next bill will come to.

The days already counted stand; those still to come are projected per service by a robust trend of the daily
counts, and the whole goes through the same rating as the bill. The trend is Theil-Sen's: the median of the
slopes between all pairs of days, which up to 29 % of wild days cannot move. All of it is exact, so a flat
series forecasts itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import dropwhile
from math import lcm
from typing import Literal

from portal.billing.rating import AccountUsage, Line, PriceBook, rate_month, rate_term, total
from portal.billing.usage import QUANTITY_PLACES, Count, Fact, counts_on
from portal.money import Money
from portal.periods import Period

ForecastMethod = Literal["trend", "last_count", "renewal"]

DAYS_LOOKED_BACK = 90
FEWEST_DAYS_FOR_A_TREND = 7
SPREAD_IN_DEVIATIONS = 3
"""Three median absolute deviations are two standard deviations of normal noise: some 95 % of the days."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next bill before tax: `amount` within low..high, and the lines that make up `amount`.

    `method` is "renewal" for an annual account, "trend" where at least one service had the days for one.
    """

    method: ForecastMethod
    amount: Money
    low: Money
    high: Money
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through `days` daily counts: `level` on the first of them, `slope` a day.

    `deviation` is the counts' median absolute deviation from it, `grain` what projections are rounded to.
    """

    days: int
    level: Fraction
    slope: Fraction
    deviation: Fraction
    grain: Count

    def count_after(self, days: int, deviations: int) -> Count:
        """The count `days` after the last known day, so many deviations off the line, never below zero."""
        return self.counts_from(days, 1, deviations)[0]

    def counts_from(self, days: int, size: int, deviations: int) -> list[Count]:
        """`count_after` of that many days running."""
        value = self.level + self.slope * (self.days - 1 + days) + deviations * self.deviation
        first, step = value / Fraction(self.grain), self.slope / Fraction(self.grain)
        common = lcm(first.denominator, step.denominator)
        at, by = int(first * common), int(step * common)
        return [max(0, (2 * (at + by * n) + common) // (2 * common)) * self.grain for n in range(size)]


def forecast(account: AccountUsage, price_book: PriceBook, period: Period, today: date) -> Forecast:
    """The account's next bill, as `today` (whose own count is not known yet) sees it.

    `period` is the one that bill will be for: a month for a monthly account, the next term for an annual one,
    whose renewal is forecast at the present count. `price_book` is the one in effect on its first day. An
    account that the bill would leave out forecasts zero. Raises UnpricedService.
    """
    known = {
        service: [fact for fact in facts if fact.day < today] for service, facts in account.facts.items()
    }
    if account.plan == "annual":
        lines = rate_term(replace(account, facts=known), price_book, period).lines
        amount = total(lines, price_book.currency).net
        return Forecast("renewal", amount, amount, amount, lines)

    trends = {service: trend(recent_counts(facts, today)) for service, facts in known.items()}

    def rated(deviations: int) -> tuple[Line, ...]:
        facts = {
            service: [*known[service], *_projected(trends[service], deviations, period, today)]
            for service in known
        }
        return rate_month(replace(account, facts=facts), price_book, period).lines

    lines = rated(0)
    amount = total(lines, price_book.currency).net
    method: ForecastMethod = "trend" if any(trends.values()) else "last_count"
    if not any(line and line.deviation for line in trends.values()):
        return Forecast(method, amount, amount, amount, lines)
    # A tier can make more cost less, so the ends of the range are sorted after rating, not before.
    low, high = (
        total(rated(deviations), price_book.currency).net
        for deviations in (-SPREAD_IN_DEVIATIONS, SPREAD_IN_DEVIATIONS)
    )
    return Forecast(method, amount, min(amount, low, high), max(amount, low, high), lines)


def recent_counts(facts: Sequence[Fact], today: date) -> list[Count]:
    """The counts of the last 90 days before `today`, from the day of the service's first entity on."""
    window = Period(today - timedelta(days=DAYS_LOOKED_BACK), today)
    return list(dropwhile(lambda count: not count, counts_on(facts, window)))


def trend(counts: Sequence[Count]) -> Trend | None:
    """The Theil-Sen line through one count a day; None for fewer than 7 days."""
    size = len(counts)
    if size < FEWEST_DAYS_FOR_A_TREND:
        return None
    whole = all(isinstance(count, int) for count in counts)
    grain: Count = 1 if whole else QUANTITY_PLACES
    if min(counts) == max(counts):
        return Trend(size, Fraction(counts[0]), Fraction(0), Fraction(0), grain)
    # In grains (weights have no more decimals), times the slope's denominator: whole numbers, exact and fast.
    heights = [int(count // grain) for count in counts]
    slope = _median_slope(heights)
    offs = [height * slope.denominator - slope.numerator * day for day, height in enumerate(heights)]
    level = _median(offs)
    twice = int(2 * level)
    deviation = _median([abs(2 * off - twice) for off in offs]) / 2
    unit = Fraction(grain) / slope.denominator
    return Trend(size, level * unit, slope * Fraction(grain), deviation * unit, grain)


def _projected(trend: Trend | None, deviations: int, period: Period, today: date) -> list[Fact]:
    """Facts for the days of `period` from `today` on; without a trend none, and the last count carries on."""
    if trend is None:
        return []
    days = [day for day in period.dates() if day >= today]
    if not days:
        return []
    counts = trend.counts_from((days[0] - today).days + 1, len(days), deviations)
    return [Fact(day, count, recorded_at=0) for day, count in zip(days, counts, strict=True)]


def _median_slope(heights: Sequence[int]) -> Fraction:
    """Of the lines through all pairs of days, compared as integers over one common denominator."""
    size = len(heights)
    common = lcm(*range(1, size))
    slopes = [
        (later - earlier) * (common // days)
        for days in range(1, size)
        for earlier, later in zip(heights, heights[days:], strict=False)
    ]
    return _median(slopes) / common


def _median(numbers: Sequence[int]) -> Fraction:
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return Fraction(ordered[middle] + ordered[~middle], 2)
