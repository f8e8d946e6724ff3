from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.billing.forecast import Forecast, Trend, forecast, recent_counts, trend
from portal.billing.rating import AccountUsage, PriceBook, ServicePrice, Tier, UnpricedService, rate_month
from portal.billing.usage import Count, Fact
from portal.money import Money
from portal.periods import Period, term_containing

EXCHANGE, SALESFORCE = "microsoft_365_exchange", "salesforce"
TODAY = date(2023, 2, 10)
MONTH = Period(date(2023, 1, 24), date(2023, 2, 24))
BOOK = PriceBook(
    effective_on=date(2023, 1, 1),
    currency="USD",
    discount=Decimal("0.4"),
    services={
        EXCHANGE: ServicePrice(monthly=300, annual=3000),
        SALESFORCE: ServicePrice(monthly=205, annual=2050),
    },
)


def until_today(*counts: Count) -> list[Fact]:
    """One count a day, the last of them yesterday's."""
    return [Fact(TODAY - timedelta(days=len(counts) - n), count, 1) for n, count in enumerate(counts)]


def account(
    exchange: Sequence[Fact] = (), salesforce: Sequence[Fact] = (), plan: str = "monthly", **given: date
) -> AccountUsage:
    return AccountUsage(
        account_id="acc_1",
        partner_id="prt_1",
        name="Alex Douglas",
        email="alex.douglas@example.com",
        plan=plan,  # type: ignore[arg-type]
        facts={EXCHANGE: exchange, SALESFORCE: salesforce},
        **{"subscribed_on": date(2022, 2, 24), **given},
    )


def trend_by_definition(counts: Sequence[int]) -> Trend:
    heights = [Fraction(count) for count in counts]
    slope = median((b - a) / (j - i) for (i, a), (j, b) in combinations(enumerate(heights), 2))
    level = median(height - slope * n for n, height in enumerate(heights))
    deviation = median(abs(height - slope * n - level) for n, height in enumerate(heights))
    return Trend(len(counts), level, slope, deviation, grain=1)


def exactly(method: str, amount: str, found: Forecast) -> bool:
    return found.method == method and {found.amount, found.low, found.high} == {Money.parse(amount, "USD")}


@pytest.mark.parametrize(("seats", "amount"), [(98, "176.40"), (4, "7.20"), (1, "1.80"), (0, "0.00")])
def test_a_flat_series_forecasts_itself(seats: int, amount: str) -> None:
    found = forecast(account([Fact(date(2022, 3, 1), seats, 1)]), BOOK, MONTH, TODAY)
    assert exactly("trend" if seats else "last_count", amount, found)
    assert [line.amount for line in found.lines] == ([found.amount.minor] if seats else [])


def test_an_account_that_never_used_anything_forecasts_zero() -> None:
    assert exactly("last_count", "0.00", forecast(account(), BOOK, MONTH, TODAY))


@pytest.mark.parametrize(("exchange", "salesforce", "amount"), [(28, 1, "516.30"), (60, 20, "1326.00")])
def test_an_annual_account_forecasts_its_renewal_at_the_present_count(
    exchange: int, salesforce: int, amount: str
) -> None:
    usage = account(until_today(*range(1, exchange), exchange), until_today(salesforce), plan="annual")
    now = term_containing(date(2022, 7, 14), TODAY)
    found = forecast(usage, BOOK, term_containing(date(2022, 7, 14), now.end), TODAY)
    assert exactly("renewal", amount, found)
    assert [line.kind for line in found.lines] == ["annual", "annual"]


def test_todays_own_count_is_not_looked_at() -> None:
    usage = [*until_today(*[4] * 20), Fact(TODAY, 500, 2)]
    assert exactly("trend", "7.20", forecast(account(usage), BOOK, MONTH, TODAY))
    assert exactly("renewal", "72.00", forecast(account(usage, plan="annual"), BOOK, MONTH, TODAY))


def test_six_days_give_the_last_count_and_seven_a_trend() -> None:
    found = forecast(account(until_today(3, 4, 5, 6, 7, 8)), BOOK, MONTH, TODAY)
    assert exactly("last_count", "14.40", found)
    found = forecast(account(until_today(3, 4, 5, 6, 7, 8, 9)), BOOK, MONTH, TODAY)
    assert found.method == "trend" and found.amount == Money(23 * 180, "USD")  # one more each day to the 23rd


def test_days_before_the_first_entity_are_not_data() -> None:
    usage = until_today(*[0] * 60, *[98] * 6)
    assert exactly("last_count", "176.40", forecast(account(usage), BOOK, MONTH, TODAY))
    assert recent_counts(until_today(0, 0, 5, 0, 7), TODAY) == [5, 0, 7]


def test_only_the_last_90_days_are_looked_at() -> None:
    usage = until_today(*[1000] * 300, *[4] * 90)
    assert exactly("trend", "7.20", forecast(account(usage), BOOK, MONTH, TODAY))
    assert recent_counts(until_today(8, *[4] * 90), TODAY) == [4] * 90
    assert recent_counts(until_today(8, *[4] * 89), TODAY) == [8, *[4] * 89]


def test_a_wild_week_does_not_bend_the_trend() -> None:
    usage = until_today(*[20] * 40, *[900] * 7, *[20] * 43)
    assert exactly("trend", "36.00", forecast(account(usage), BOOK, MONTH, TODAY))


def test_what_the_period_has_already_seen_is_its_peak() -> None:
    usage = until_today(*[4] * 40, 9, *[4] * 5)
    assert exactly("trend", "16.20", forecast(account(usage), BOOK, MONTH, TODAY))
    last_period = until_today(*[4] * 20, 9, *[4] * 25)
    assert exactly("trend", "7.20", forecast(account(last_period), BOOK, MONTH, TODAY))


def test_a_shrinking_account_never_goes_below_zero() -> None:
    usage = until_today(*range(60, 0, -4))
    found = forecast(account(usage), BOOK, Period(date(2023, 2, 24), date(2023, 3, 24)), TODAY)
    assert exactly("trend", "0.00", found) and found.lines == ()


def test_the_range_comes_from_the_deviations() -> None:
    found = forecast(account(until_today(*[48, 50, 52] * 30)), BOOK, Period(TODAY, MONTH.end), TODAY)
    assert found.amount == Money(50 * 180, "USD")
    assert found.low == Money(44 * 180, "USD") and found.high == Money(56 * 180, "USD")


def test_a_tier_that_makes_more_cost_less_keeps_the_range_in_order() -> None:
    tiers = (Tier(45, monthly=100, annual=1000),)
    cheaper = replace(BOOK, services={EXCHANGE: ServicePrice(300, 3000, tiers=tiers)})
    found = forecast(account(until_today(*[48, 50, 52] * 30)), cheaper, Period(TODAY, MONTH.end), TODAY)
    assert (found.low.minor, found.amount.minor, found.high.minor) == (50 * 60, 50 * 60, 44 * 180)


def test_a_part_of_the_month_is_prorated_like_the_bill() -> None:
    usage = account(until_today(*[10] * 20), subscribed_on=date(2023, 2, 1), ended_on=date(2023, 2, 11))
    assert exactly("trend", "5.81", forecast(usage, BOOK, MONTH, TODAY))


def test_a_trial_forecasts_nothing_and_a_period_over_forecasts_its_bill() -> None:
    assert forecast(account(until_today(*[10] * 20), plan="trial"), BOOK, MONTH, TODAY).amount.minor == 0
    usage = account(until_today(*range(90)))
    past = Period(date(2022, 12, 24), date(2023, 1, 24))
    found = forecast(usage, BOOK, past, TODAY)
    assert found.lines == rate_month(usage, BOOK, past).lines and found.low == found.high


def test_one_service_with_enough_days_makes_it_a_trend() -> None:
    found = forecast(account(until_today(*[10] * 20), until_today(2)), BOOK, MONTH, TODAY)
    assert exactly("trend", "20.46", found)


def test_counts_in_parts_are_forecast_in_parts() -> None:
    usage = account(until_today(*[Decimal("12.5")] * 30))
    assert exactly("trend", "22.50", forecast(usage, BOOK, MONTH, TODAY))


def test_an_unpriced_service_is_not_guessed() -> None:
    only_exchange = replace(BOOK, services={EXCHANGE: BOOK.services[EXCHANGE]})
    with pytest.raises(UnpricedService):
        forecast(account(salesforce=until_today(1)), only_exchange, MONTH, TODAY)


def test_the_line_is_theil_sens() -> None:
    # Of the 21 slopes between pairs of these days five are below 1, ten are 1 and six above.
    assert trend([1, 2, 4, 4, 9, 6, 7]) == Trend(7, Fraction(1), Fraction(1), Fraction(0), grain=1)
    line = trend([0, 0, 4, 4, 2, 1, 9, 5])
    assert line is not None
    assert line.slope == (Fraction(2, 3) + Fraction(5, 7)) / 2  # the middle two of 28


@given(st.lists(st.integers(0, 1000), min_size=7, max_size=40))
def test_the_line_is_that_of_the_definition(counts: list[int]) -> None:
    assert trend(counts) == trend_by_definition(counts)


@given(
    st.integers(0, 10**4), st.integers(-50, 50), st.integers(1, 12), st.integers(7, 90), st.integers(1, 60)
)
def test_a_straight_line_is_followed_exactly(level: int, rise: int, run: int, days: int, ahead: int) -> None:
    counts = [Decimal(level) + Decimal(rise) * n / 8 for n in range(days)]
    line = trend(counts)
    assert line is not None and line.deviation == 0 and line.slope == Fraction(rise, 8)
    expected = max(Fraction(0), Fraction(level) + Fraction(rise, 8) * (days - 1 + ahead))
    assert Fraction(line.count_after(ahead, run)) == expected


@given(st.lists(st.integers(0, 300), max_size=100), st.integers(0, 60))
def test_any_series_gives_an_ordered_range_of_real_bills(counts: list[int], ahead: int) -> None:
    period = Period(TODAY + timedelta(days=ahead - 30), TODAY + timedelta(days=ahead))
    found = forecast(account(until_today(*counts)), BOOK, period, TODAY)
    assert Money(0, "USD") <= found.low <= found.amount <= found.high
    assert sum(line.amount for line in found.lines) == found.amount.minor
    assert all(line.quantity == int(line.quantity) for line in found.lines)
    seen = max((count for count in counts[-max(0, 30 - ahead) :] if ahead < 30), default=0)
    assert found.low >= Money(seen * 180, "USD")
