from datetime import date, timedelta

import pytest

from portal.identity.password_expiry import WARNED_DAYS_BEFORE, warning_due

SET_ON = date(2023, 1, 10)


def warned(days: int, nights: list[int]) -> dict[int, int]:
    """Which warnings go out when somebody looks on these days after the password was set."""
    found, warned_on = {}, None
    for night in nights:
        today = SET_ON + timedelta(days=night)
        if warning := warning_due(SET_ON, days, today, warned_on):
            found[night] = warning
        warned_on = today
    return found


@pytest.mark.parametrize("days", [15, 30, 90, 365, 730])
def test_looked_at_every_night_each_warning_comes_on_its_day(days: int) -> None:
    nights = list(range(days + 10))
    assert warned(days, nights) == {days - each: each for each in WARNED_DAYS_BEFORE}


@pytest.mark.parametrize(
    ("days", "expected"),
    [(1, {}), (2, {1: 1}), (7, {6: 1}), (8, {1: 7, 7: 1}), (14, {7: 7, 13: 1}), (15, {1: 14, 8: 7, 14: 1})],
)
def test_nobody_is_warned_on_the_day_of_choosing_a_password(days: int, expected: dict[int, int]) -> None:
    assert warned(days, list(range(days + 3))) == expected


def test_every_single_night_alone_gives_the_nearest_warning_and_none_when_it_is_too_late() -> None:
    nearest = {night: warned(30, [night]).get(night) for night in range(40)}
    assert nearest == {
        night: 14 if 16 <= night < 23 else 7 if 23 <= night < 29 else 1 if night == 29 else None
        for night in range(40)
    }


def test_whatever_nights_are_missed_no_warning_comes_twice() -> None:
    for step in range(1, 20):
        for first in range(step):
            found = warned(30, list(range(first, 40, step)))
            assert len(set(found.values())) == len(found)


def test_days_are_whole_ones_across_months_and_leap_years() -> None:
    assert warning_due(date(2024, 2, 14), 15, date(2024, 2, 28)) == 1
    assert warning_due(date(2024, 2, 14), 15, date(2024, 2, 29)) is None
    assert warning_due(date(2023, 2, 14), 15, date(2023, 2, 28)) == 1
