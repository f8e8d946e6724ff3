from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal import keys
from portal.accounts.records import Account
from portal.accounts.rules import account_status
from portal.periods import Period
from portal.subscriptions import rules
from portal.subscriptions.rules import DefaultSubscription
from portal.subscriptions.spans import (
    Span,
    next_term,
    plan_of,
    renewal_on,
    span_on,
    spans,
    term_on,
    terms,
    upcoming,
)
from portal.tree import Node

JAN, MAR = date(2023, 1, 24), date(2023, 3, 10)


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def account(*changes: tuple[str, date], plan: str = "monthly", **values: Any) -> Account:
    known: dict[str, Any] = {
        "state": "subscribed",
        "plan": plan,
        "subscribed_on": JAN,
        "subscription_default": {"mode": "trial_with_expiration", "plan": None},
        "plan_changes": [{"plan": to, "on": on.isoformat()} for to, on in changes] or None,
    }
    return Account(
        keys.node(Node("dst_1", "prt_1", "acc_1")), keys.NODE, account_id="acc_1", **known | values
    )


def test_who_never_changed_has_one_span() -> None:
    assert spans(account(), at(MAR)) == [Span("monthly", JAN, None)]
    assert spans(account(ended_on=MAR), at(MAR)) == [Span("monthly", JAN, MAR)]


def test_a_trial_has_none_until_it_has_subscribed_itself() -> None:
    begun = rules.begin(
        DefaultSubscription(mode="trial_with_auto_subscription", plan="annual"), at(JAN) - timedelta(days=14)
    )
    trial = account(**{"plan": None, "subscribed_on": None, **begun})
    assert spans(trial, at(JAN) - timedelta(seconds=1)) == []
    assert plan_of(trial, at(JAN) - timedelta(seconds=1)) is None
    assert spans(trial, at(JAN)) == [Span("annual", JAN, None)]
    assert renewal_on(trial, at(JAN)) == date(2024, 1, 24)


def test_spans_abut_and_what_holds_follows_from_the_date() -> None:
    changed = account(("annual", MAR), ("monthly", date(2024, 3, 10)))
    assert spans(changed, at(JAN)) == [
        Span("monthly", JAN, MAR),
        Span("annual", MAR, date(2024, 3, 10)),
        Span("monthly", date(2024, 3, 10), None),
    ]
    days = (JAN, MAR - timedelta(days=1), MAR, date(2024, 3, 9), date(2024, 3, 10), date(2030, 1, 1))
    plans = ("monthly", "monthly", "annual", "annual", "monthly", "monthly")
    for day, plan in zip(days, plans, strict=True):
        assert plan_of(changed, at(day)) == plan
        assert account_status(changed, at(day)) == f"{plan}_subscribed"
        assert [span.plan for span in spans(changed, at(day)) if day in span] == [plan]


def test_a_change_on_the_day_of_subscribing_leaves_no_empty_span() -> None:
    assert spans(account(("annual", JAN)), at(JAN)) == [Span("annual", JAN, None)]


@pytest.mark.parametrize(
    ("ended_on", "expected"),
    [
        (MAR - timedelta(days=1), [Span("monthly", JAN, MAR - timedelta(days=1))]),
        (MAR, [Span("monthly", JAN, MAR)]),
        (MAR + timedelta(days=1), [Span("monthly", JAN, MAR), Span("annual", MAR, MAR + timedelta(days=1))]),
        (JAN, [Span("monthly", JAN, JAN)]),
    ],
)
def test_a_removal_ends_the_last_span_and_drops_what_was_to_come(
    ended_on: date, expected: list[Span]
) -> None:
    removed = account(("annual", MAR), state="removal_pending", ended_on=ended_on)
    assert spans(removed, at(MAR)) == expected
    assert upcoming(removed, at(JAN)) is None or ended_on > MAR
    assert renewal_on(removed, at(MAR)) is None


def test_what_is_to_come_is_told_until_its_day() -> None:
    changed = account(("annual", MAR))
    assert upcoming(changed, at(MAR - timedelta(days=1))) == Span("annual", MAR, None)
    assert upcoming(changed, at(MAR)) is None


@pytest.mark.parametrize(
    ("today", "renewal"),
    [
        (JAN, date(2023, 2, 24)),
        (date(2023, 2, 23), date(2023, 2, 24)),
        (date(2023, 2, 24), MAR),
        (MAR, date(2024, 3, 10)),
        (date(2024, 3, 9), date(2024, 3, 10)),
        (date(2024, 3, 10), date(2024, 4, 10)),
    ],
)
def test_a_subscription_renews_by_the_span_in_force(today: date, renewal: date) -> None:
    changed = account(("annual", MAR), ("monthly", date(2024, 3, 10)))
    assert renewal_on(changed, at(today)) == renewal


def test_terms_are_counted_from_the_first_day_of_their_span() -> None:
    leap = date(2024, 2, 29)
    known = spans(
        account(("annual", leap), ("monthly", date(2026, 2, 28)), ("annual", date(2026, 3, 5))), at(JAN)
    )
    first, second, third = (
        Period(leap, date(2025, 2, 28)),
        Period(date(2025, 2, 28), date(2026, 2, 28)),
        Period(date(2026, 3, 5), date(2027, 3, 5)),
    )
    found = terms(known)
    assert [next(found), next(found), next(found)] == [first, second, third]
    assert next_term(known, None) == first
    assert next_term(known, leap) == second
    assert next_term(known, second.start) == third
    assert term_on(known, date(2026, 2, 27)) == second
    assert term_on(known, date(2026, 2, 28)) is None
    assert term_on(known, JAN) is None


def test_a_term_that_would_begin_after_the_end_is_none() -> None:
    removed = account(plan="annual", ended_on=date(2024, 1, 24))
    assert list(terms(spans(removed, at(MAR)))) == [Period(JAN, date(2024, 1, 24))]
    late = account(plan="annual", ended_on=date(2024, 1, 25))
    assert next_term(spans(late, at(MAR)), JAN) == Period(date(2024, 1, 24), date(2025, 1, 24))
    assert next_term(spans(late, at(MAR)), date(2024, 1, 24)) is None
    assert next_term(spans(account(), at(MAR)), None) is None


def test_a_day_outside_all_spans_is_judged_by_the_nearest() -> None:
    known = spans(account(("annual", MAR), ended_on=date(2023, 5, 1)), at(MAR))
    assert [
        span and span.plan for span in (span_on(known, date(2020, 1, 1)), span_on(known, date(2025, 1, 1)))
    ] == [
        "monthly",
        "annual",
    ]
    assert span_on([], MAR) is None
