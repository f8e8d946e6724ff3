from bisect import bisect_right
from datetime import date, datetime, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.periods import (
    Period,
    next_monthly_anniversary,
    next_payment_date,
    nth_term,
    payment_dates,
    period_containing,
    period_ending,
    periods_ending,
    periods_from,
    subscribed_days,
    term_containing,
)

days = st.dates(date(1990, 1, 1), date(2100, 12, 31))
payment_days = st.integers(1, 31)

SWEEP_START, SWEEP_END, SWEEP_PERIODS = date(2019, 12, 31), date(2032, 3, 1), 60


def days_from(start: date, end: date) -> list[date]:
    return [start + timedelta(days=n) for n in range((end - start).days)]


def is_payment_date(day: date, payment_day: int) -> bool:
    """The rule in words, as the calendar on the wall would apply it: no arithmetic shared with the code."""
    last_of_month = (day + timedelta(days=1)).day == 1
    return day.day == payment_day or (last_of_month and day.day < payment_day)


@pytest.mark.parametrize("payment_day", range(1, 32))
def test_sweep_no_gap_overlap_or_drift_from_any_day(payment_day: int) -> None:
    wall = [d for d in days_from(date(2019, 11, 1), date(2037, 6, 1)) if is_payment_date(d, payment_day)]
    for start in days_from(SWEEP_START, SWEEP_END + timedelta(days=1)):
        first = bisect_right(wall, start) - 1
        bounds = list(islice(payment_dates(payment_day, start), SWEEP_PERIODS + 1))
        assert bounds == wall[first : first + SWEEP_PERIODS + 1]
        assert next(periods_from(payment_day, start)) == Period(bounds[0], bounds[1])
        assert bounds[0] <= start < bounds[1]


@given(payment_days, days)
def test_periods_abut_and_the_first_contains_the_day(payment_day: int, on: date) -> None:
    periods = list(islice(periods_from(payment_day, on), 30))
    assert on in periods[0]
    assert all(earlier.end == later.start for earlier, later in pairwise(periods))
    assert all(28 <= period.days <= 31 for period in periods)


@given(payment_days, days, st.integers(0, 400))
def test_a_day_has_one_period_whichever_way_it_is_asked_for(payment_day: int, on: date, later: int) -> None:
    period = period_containing(payment_day, on)
    assert on in period
    assert all(period_containing(payment_day, day) == period for day in period.dates())
    assert period_ending(payment_day, period.end) == period
    assert next_payment_date(payment_day, on) == period.end
    assert next_payment_date(payment_day, period.end) > period.end
    until = on + timedelta(days=later)
    due = list(periods_ending(payment_day, on, until))
    assert due == [p for p in islice(periods_from(payment_day, on), 20) if on < p.end <= until]


def test_the_31st_comes_back_after_a_short_month() -> None:
    ends = [period.end for period in islice(periods_from(31, date(2024, 1, 31)), 5)]
    assert ends == [
        date(2024, 2, 29),
        date(2024, 3, 31),
        date(2024, 4, 30),
        date(2024, 5, 31),
        date(2024, 6, 30),
    ]


@pytest.mark.parametrize(
    ("payment_day", "on", "start", "end"),
    [
        (24, date(2023, 2, 10), date(2023, 1, 24), date(2023, 2, 24)),
        (24, date(2023, 1, 24), date(2023, 1, 24), date(2023, 2, 24)),
        (24, date(2023, 1, 23), date(2022, 12, 24), date(2023, 1, 24)),
        (30, date(2023, 2, 28), date(2023, 2, 28), date(2023, 3, 30)),
        (30, date(2023, 2, 27), date(2023, 1, 30), date(2023, 2, 28)),
        (1, date(2024, 12, 31), date(2024, 12, 1), date(2025, 1, 1)),
        (29, date(2100, 2, 28), date(2100, 2, 28), date(2100, 3, 29)),
        (29, date(2000, 2, 28), date(2000, 1, 29), date(2000, 2, 29)),
    ],
)
def test_the_period_of_a_day(payment_day: int, on: date, start: date, end: date) -> None:
    assert period_containing(payment_day, on) == Period(start, end)


def test_what_is_due_after_a_silence() -> None:
    due = list(periods_ending(24, after=date(2023, 1, 24), until=date(2023, 4, 24)))
    assert [period.end for period in due] == [date(2023, 2, 24), date(2023, 3, 24), date(2023, 4, 24)]
    assert list(periods_ending(24, after=date(2023, 1, 24), until=date(2023, 2, 23))) == []


def test_a_bill_can_only_end_on_a_payment_date() -> None:
    assert period_ending(31, date(2023, 2, 28)) == Period(date(2023, 1, 31), date(2023, 2, 28))
    with pytest.raises(ValueError, match="not a payment date"):
        period_ending(31, date(2023, 3, 30))


@pytest.mark.parametrize("payment_day", [0, 32, -1])
def test_a_payment_day_is_1_to_31(payment_day: int) -> None:
    with pytest.raises(ValueError, match="1 to 31"):
        period_containing(payment_day, date(2023, 1, 1))


def test_a_period_is_half_open_and_made_of_dates() -> None:
    period = Period(date(2024, 2, 28), date(2024, 3, 1))
    assert period.days == 2
    assert list(period.dates()) == [date(2024, 2, 28), date(2024, 2, 29)]
    assert date(2024, 2, 28) in period and date(2024, 3, 1) not in period and date(2024, 2, 27) not in period
    assert Period(period.end, period.end).days == 0 and list(Period(period.end, period.end).dates()) == []
    with pytest.raises(ValueError, match="cannot end"):
        Period(period.end, period.start)
    with pytest.raises(TypeError):
        Period(datetime(2024, 1, 1), date(2024, 2, 1))


def test_a_leap_day_term_ends_on_the_28th_and_on_the_29th_again() -> None:
    anchor = date(2024, 2, 29)
    assert [nth_term(anchor, n).end for n in range(4)] == [
        date(2025, 2, 28),
        date(2026, 2, 28),
        date(2027, 2, 28),
        date(2028, 2, 29),
    ]
    assert term_containing(anchor, date(2025, 2, 28)) == nth_term(anchor, 1)
    assert term_containing(anchor, date(2028, 2, 28)) == nth_term(anchor, 3)
    assert term_containing(anchor, date(2028, 2, 29)) == nth_term(anchor, 4)
    assert nth_term(anchor, 0).days == 365 and nth_term(anchor, 3).days == 366


def test_terms_begin_with_the_anchor() -> None:
    anchor = date(2022, 8, 17)
    assert term_containing(anchor, date(2023, 2, 10)) == Period(anchor, date(2023, 8, 17))
    with pytest.raises(ValueError, match="before the first term"):
        term_containing(anchor, date(2022, 8, 16))
    with pytest.raises(ValueError, match="from 0"):
        nth_term(anchor, -1)


@given(days, st.integers(0, 40_000))
def test_every_day_from_the_anchor_on_is_in_one_term_and_terms_abut(anchor: date, later: int) -> None:
    on = anchor + timedelta(days=later)
    term = term_containing(anchor, on)
    n = term.start.year - anchor.year
    assert on in term and term == nth_term(anchor, n) and nth_term(anchor, n + 1).start == term.end
    assert term.days in (365, 366)


@pytest.mark.parametrize(
    ("anchor", "after", "renewal"),
    [
        (date(2022, 2, 24), date(2023, 2, 10), date(2023, 2, 24)),
        (date(2022, 2, 23), date(2023, 2, 10), date(2023, 2, 23)),
        (date(2022, 2, 23), date(2023, 2, 23), date(2023, 3, 23)),
        (date(2023, 1, 31), date(2023, 2, 10), date(2023, 2, 28)),
        (date(2023, 1, 31), date(2023, 2, 28), date(2023, 3, 31)),
        (date(2023, 1, 31), date(2023, 1, 31), date(2023, 2, 28)),
        (date(2023, 2, 28), date(2023, 3, 1), date(2023, 3, 28)),
        (date(2023, 5, 20), date(2023, 2, 10), date(2023, 6, 20)),
    ],
)
def test_a_monthly_subscription_renews_on_its_own_day(anchor: date, after: date, renewal: date) -> None:
    assert next_monthly_anniversary(anchor, after) == renewal


@pytest.mark.parametrize(
    ("start", "end", "first", "last_excluded"),
    [
        (date(2022, 1, 1), None, date(2023, 1, 24), date(2023, 2, 24)),
        (date(2023, 2, 1), None, date(2023, 2, 1), date(2023, 2, 24)),
        (date(2023, 1, 24), date(2023, 1, 25), date(2023, 1, 24), date(2023, 1, 25)),
        (date(2022, 1, 1), date(2023, 2, 1), date(2023, 1, 24), date(2023, 2, 1)),
        (date(2022, 1, 1), date(2023, 9, 1), date(2023, 1, 24), date(2023, 2, 24)),
    ],
)
def test_subscribed_days(start: date, end: date | None, first: date, last_excluded: date) -> None:
    month = Period(date(2023, 1, 24), date(2023, 2, 24))
    assert subscribed_days(month, start, end) == Period(first, last_excluded)


@given(payment_days, days, days, st.none() | days)
def test_subscribed_days_are_those_from_the_start_to_before_the_end(
    payment_day: int, on: date, start: date, end: date | None
) -> None:
    period = period_containing(payment_day, on)
    expected = [d for d in period.dates() if start <= d and (end is None or d < end)]
    assert list(subscribed_days(period, start, end).dates()) == expected


@given(days, st.integers(0, 3000), st.integers(1, 31), st.integers(0, 3000))
def test_the_subscribed_days_of_all_periods_are_the_subscription(
    start: date, length: int, payment_day: int, later: int
) -> None:
    end = start + timedelta(days=length)
    periods = list(periods_ending(payment_day, start, end + timedelta(days=31)))
    assert sum(subscribed_days(period, start, end).days for period in periods) == length
