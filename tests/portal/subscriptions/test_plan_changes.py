from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal import keys
from portal.accounts import rules as account_rules
from portal.accounts.records import Account
from portal.billing.account_usage import account_usages
from portal.billing.prices import PriceTerms, price_book
from portal.billing.rating import rate_period
from portal.billing.records import Usage
from portal.billing.true_ups import may_grow
from portal.change import Change
from portal.errors import Invalid, PortalError
from portal.periods import periods_from
from portal.subscriptions import rules
from portal.subscriptions.plan_changes import (
    NotSubscribed,
    change_plan,
    changed_to,
)
from portal.subscriptions.rules import DefaultSubscription, RemovalPending
from portal.subscriptions.spans import Span, spans, terms
from portal.tree import Node
from tests.books import PRICES

JAN, MAR = date(2023, 1, 24), date(2023, 3, 10)
DAY = timedelta(days=1)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def account(plan: str | None = "monthly", subscribed_on: date | None = JAN, **values: Any) -> Account:
    known: dict[str, Any] = {
        "state": "subscribed",
        "plan": plan,
        "subscribed_on": subscribed_on,
        "subscription_default": {"mode": "trial_with_expiration", "plan": None},
        "name": "Moby",
        "email": "moby@example.com",
    }
    return Account(
        keys.node(Node("dst_1", "prt_1", "acc_1")), keys.NODE, account_id="acc_1", **known | values
    )


def changed(record: Account, change: Change) -> Account:
    for name, value in change.items():
        setattr(record, name, value)
    return record


def put(record: Account, plan: Any, today: date, on: date | None = None) -> list[tuple[str, str]]:
    """Change the plan; what is stored of changes then."""
    changed(record, change_plan(record, plan, on, noon(today), None))
    return [(each["plan"], each["on"]) for each in record.plan_changes or ()]


def test_to_annual_from_today_unless_said_otherwise() -> None:
    assert put(account(), "annual", MAR) == [("annual", "2023-03-10")]
    assert put(account(), "annual", MAR, MAR) == [("annual", "2023-03-10")]
    assert put(account(), "annual", MAR, date(2023, 6, 1)) == [("annual", "2023-06-01")]
    assert put(account(), "annual", MAR, date(2024, 3, 10)) == [("annual", "2024-03-10")]


@pytest.mark.parametrize("on", [MAR - DAY, JAN, date(2024, 3, 11)])
def test_not_on_a_past_day_nor_after_more_than_a_year(on: date) -> None:
    with pytest.raises(Invalid) as refused:
        change_plan(account(), "annual", on, noon(MAR), None)
    assert [error.field for error in refused.value.errors] == ["effective_on"]


def test_to_monthly_only_from_the_end_of_the_present_term_on() -> None:
    assert put(account("annual"), "monthly", MAR) == [("monthly", "2024-01-24")]
    assert put(account("annual"), "monthly", MAR, date(2024, 1, 24)) == [("monthly", "2024-01-24")]
    for on in (MAR, date(2024, 1, 23), date(2024, 1, 25), date(2025, 1, 24)):
        with pytest.raises(Invalid):
            change_plan(account("annual"), "monthly", on, noon(MAR), None)
    assert put(account("annual"), "monthly", date(2024, 1, 24)) == [("monthly", "2025-01-24")]


def test_to_monthly_at_the_end_of_a_term_that_began_on_a_leap_day() -> None:
    leap = account("annual", date(2024, 2, 29))
    assert put(leap, "monthly", date(2024, 3, 1)) == [("monthly", "2025-02-28")]
    assert put(account("annual", date(2024, 2, 29)), "monthly", date(2027, 3, 1)) == [
        ("monthly", "2028-02-29")
    ]


def test_a_term_that_is_invoiced_has_begun_whatever_the_clock_says() -> None:
    eve = noon(date(2024, 1, 23))
    change = change_plan(account("annual"), "monthly", None, eve, date(2024, 1, 24))
    assert change["plan_changes"] == [{"plan": "monthly", "on": "2025-01-24"}]
    to_annual = account(plan_changes=[{"plan": "annual", "on": MAR.isoformat()}])
    assert change_plan(to_annual, "monthly", None, noon(MAR - DAY), MAR)["plan_changes"] == [
        {"plan": "annual", "on": MAR.isoformat()},
        {"plan": "monthly", "on": "2024-03-10"},
    ]


def test_a_change_to_come_is_moved_and_taken_back() -> None:
    record = account()
    assert put(record, "annual", JAN, date(2023, 6, 1)) == [("annual", "2023-06-01")]
    assert put(record, "annual", JAN, date(2023, 5, 1)) == [("annual", "2023-05-01")]
    assert put(record, "monthly", MAR) == []
    assert record.plan_changes is None
    assert put(record, "annual", MAR) == [("annual", "2023-03-10")]
    assert put(record, "monthly", MAR) == [("annual", "2023-03-10"), ("monthly", "2024-03-10")]
    assert put(record, "annual", MAR + DAY) == [("annual", "2023-03-10")]


def test_who_is_on_the_plan_already_stays_as_it_is() -> None:
    assert change_plan(account(), "monthly", None, noon(MAR), None) == Change()
    assert change_plan(account(), "monthly", JAN, noon(MAR), None) == Change()
    agreed = account(plan_changes=[{"plan": "annual", "on": "2023-06-01"}])
    assert change_plan(agreed, "annual", date(2023, 6, 1), noon(MAR), None) == Change()
    with pytest.raises(Invalid):
        change_plan(account(), "monthly", date(2023, 6, 1), noon(MAR), None)


def test_on_the_day_of_subscribing_and_on_the_day_of_the_last_change() -> None:
    record = account()
    assert put(record, "annual", JAN) == [("annual", "2023-01-24")]
    assert spans(record, noon(JAN)) == [Span("annual", JAN, None)]
    ended = account("annual", plan_changes=[{"plan": "monthly", "on": "2024-01-24"}])
    assert put(ended, "annual", date(2024, 1, 24)) == []
    assert spans(ended, noon(MAR)) == [Span("annual", JAN, None)]


@pytest.mark.parametrize("state", ["removal_pending", "removed"])
def test_who_is_being_removed_changes_nothing(state: str) -> None:
    with pytest.raises(RemovalPending):
        change_plan(account(state=state, ended_on=MAR), "annual", None, noon(MAR), None)


def test_a_trial_has_no_plan_to_change_until_it_has_subscribed_itself() -> None:
    for mode, plan in (("trial_with_expiration", None), ("trial_with_auto_subscription", "monthly")):
        begun = rules.begin(DefaultSubscription.model_validate({"mode": mode, "plan": plan}), noon(JAN))
        trial = account(None, None, **begun)
        for asked in ("monthly", "annual"):
            with pytest.raises(NotSubscribed):
                change_plan(trial, asked, None, noon(JAN), None)  # type: ignore[arg-type]
    late = noon(date(2023, 2, 20))
    change = change_plan(trial, "annual", None, late, None)
    assert (change["state"], change["plan"], change["subscribed_on"]) == (
        "subscribed",
        "monthly",
        date(2023, 2, 7),
    )
    assert spans(trial, late, change) == [
        Span("monthly", date(2023, 2, 7), date(2023, 2, 20)),
        Span("annual", date(2023, 2, 20), None),
    ]


def test_what_begins_with_a_change() -> None:
    record, now = account(), noon(MAR)
    change = change_plan(record, "annual", None, now, None)
    assert changed_to(record, now, change, None) == Span("annual", MAR, None)
    assert changed_to(record, now, Change(), None) is None
    agreed = account(plan_changes=[{"plan": "annual", "on": "2023-06-01"}])
    assert changed_to(agreed, now, Change(), None) == Span("annual", date(2023, 6, 1), None)
    assert changed_to(agreed, now, change_plan(agreed, "monthly", None, now, None), None) is None
    today = account(subscribed_on=MAR)
    assert changed_to(today, now, change_plan(today, "annual", None, now, None), None) == Span(
        "annual", MAR, None
    )


# Whatever happens, every day is billed once

FIRST, LAST = date(2023, 1, 1), date(2027, 7, 1)
EVERY_DAY = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days)]
BOOK = price_book(PriceTerms.model_validate(PRICES), date(2022, 1, 1))

requests = st.lists(
    st.tuples(
        st.integers(0, 400),
        st.sampled_from(["monthly", "annual"]),
        st.one_of(st.none(), st.integers(-2, 370)),
    ),
    max_size=8,
)


@given(
    plan=st.sampled_from(["monthly", "annual"]),
    begins=st.one_of(
        st.sampled_from([date(2024, 2, 29), date(2023, 1, 31)]), st.sampled_from(EVERY_DAY[:500])
    ),
    asked=requests,
    stays=st.one_of(st.none(), st.integers(0, 1500)),
    payment_day=st.integers(1, 31),
)
@settings(max_examples=60, deadline=None)
def test_every_day_has_one_plan_and_is_billed_once(
    plan: str, begins: date, asked: list[tuple[int, Any, int | None]], stays: int | None, payment_day: int
) -> None:
    record, today = account(plan, begins), begins
    ends = begins + timedelta(days=stays) if stays is not None else None
    day_by_day = {day: plan for day in EVERY_DAY if day >= begins}
    for wait, to, ahead in asked:
        today += timedelta(days=wait)
        if today >= LAST - timedelta(days=400) or (ends and today >= ends):
            break
        on = None if ahead is None else today + timedelta(days=ahead)
        try:
            change = change_plan(record, to, on, noon(today), None)
        except PortalError:
            continue
        began = changed_to(record, noon(today), change, None) if change else None
        changed(record, change)
        if change:
            # Naively: it stays what it is today, or what was asked for where that was taken back, until its first day.
            stays_as = day_by_day[today] if began else to
            day_by_day |= {day: stays_as for day in EVERY_DAY if day >= today}
            if began:
                day_by_day |= {day: began.plan for day in EVERY_DAY if day >= began.start}
    if ends:
        changed(record, account_rules.remove(record, noon(ends)))
        day_by_day = {day: each for day, each in day_by_day.items() if day < ends}

    known = spans(record, noon(LAST))
    for day in EVERY_DAY:
        assert [span.plan for span in known if day in span] == (
            [day_by_day[day]] if day in day_by_day else []
        )

    usage = Usage("pk", "sk", facts={"microsoft_365_exchange": [["2022-01-01", 1, 1]]})
    used = account_usages(record, usage, noon(LAST))
    periods = list(takewhile(lambda each: each.start < LAST, periods_from(payment_day, FIRST)))
    monthly = [sum(line.days for line in rate_period(used, BOOK, period).lines) for period in periods]
    of_periods = [sum(day_by_day.get(day) == "monthly" for day in period.dates()) for period in periods]
    assert monthly[:-1] == of_periods[:-1]
    paid_ahead = Counter(
        day for term in takewhile(lambda each: each.start < LAST, terms(known)) for day in term.dates()
    )
    assert set(paid_ahead.values()) <= {1}
    assert {day for day in paid_ahead if day < min(ends or LAST, LAST)} == {
        day for day, each in day_by_day.items() if each == "annual"
    }
    assert all(sum(may_grow(span, period.end) for span in used) <= 1 for period in periods)
