from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from portal import keys
from portal.accounts.records import Account
from portal.change import Change
from portal.subscriptions import rules
from portal.subscriptions.rules import AlreadySubscribed, DefaultSubscription, RemovalPending
from portal.subscriptions.spans import plan_of, renewal_on
from portal.tree import Node

BEGUN = datetime(2023, 1, 10, 12, 0, 0, 500_000, tzinfo=UTC)
ENDS = BEGUN + timedelta(days=14)
INSTANT = timedelta(milliseconds=1)
EXPIRING = DefaultSubscription(mode="trial_with_expiration")
MONTHLY = DefaultSubscription(mode="trial_with_auto_subscription", plan="monthly")
ANNUAL = DefaultSubscription(mode="trial_with_auto_subscription", plan="annual")


def account(default: DefaultSubscription = EXPIRING, **values: Any) -> Account:
    begun = {**rules.begin(default, BEGUN), **values}
    return Account(keys.node(Node("dst_1", "prt_1", "acc_1")), keys.NODE, account_id="acc_1", **begun)


def changed(record: Account, change: Change | None) -> Account:
    assert change is not None
    for name, value in change.items():
        setattr(record, name, value)
    return record


def expired(**values: Any) -> Account:
    return changed(account(**values), rules.ended_trial(account(**values), ENDS))


@pytest.mark.parametrize("mode", ["trial_with_auto_subscription", "subscription_without_trial"])
def test_a_subscription_needs_a_plan(mode: str) -> None:
    with pytest.raises(ValidationError):
        DefaultSubscription.model_validate({"mode": mode})


def test_a_trial_that_expires_has_no_plan() -> None:
    with pytest.raises(ValidationError):
        DefaultSubscription.model_validate({"mode": "trial_with_expiration", "plan": "annual"})


def test_a_trial_lasts_fourteen_days_to_the_instant() -> None:
    trial = account()
    assert (trial.state, trial.trial_ends_at, trial.subscribed_on) == ("trial", ENDS, None)
    assert rules.ended_trial(trial, ENDS - INSTANT) is None
    assert rules.ended_trial(trial, ENDS) is not None


def test_without_trial_an_account_is_subscribed_at_once() -> None:
    begun = rules.begin(DefaultSubscription(mode="subscription_without_trial", plan="annual"), BEGUN)
    assert begun["state"] == "subscribed"
    assert begun["plan"] == "annual"
    assert begun["subscribed_on"] == date(2023, 1, 10)
    assert "lifecycle" not in begun


@pytest.mark.parametrize(("default", "plan"), [(MONTHLY, "monthly"), (ANNUAL, "annual")])
@pytest.mark.parametrize("late", [timedelta(), timedelta(days=40)])
def test_a_trial_subscribes_itself_as_of_its_end_however_late_it_is_noticed(
    default: DefaultSubscription, plan: str, late: timedelta
) -> None:
    change = rules.ended_trial(account(default), ENDS + late)
    assert change == Change(
        state="subscribed",
        plan=plan,
        subscribed_on=date(2023, 1, 24),
        trial_stage=None,
        lifecycle=None,
        lifecycle_at=None,
    )


def test_a_trial_ends_once() -> None:
    assert rules.ended_trial(expired(), ENDS + timedelta(days=1)) is None
    subscribed = changed(account(), rules.subscribe(account(), "monthly", ENDS - INSTANT))
    assert rules.ended_trial(subscribed, ENDS) is None


@pytest.mark.parametrize("now", [BEGUN, ENDS - INSTANT, ENDS, ENDS + timedelta(days=29)])
def test_a_running_or_expired_trial_can_be_subscribed(now: datetime) -> None:
    change = rules.subscribe(account(), "annual", now)
    assert (change["state"], change["plan"], change["subscribed_on"]) == ("subscribed", "annual", now.date())
    assert change["lifecycle"] is None


def test_an_expired_account_can_be_subscribed_until_it_is_removed() -> None:
    assert rules.subscribe(expired(), "monthly", ENDS + timedelta(days=3))["state"] == "subscribed"
    with pytest.raises(RemovalPending):
        rules.subscribe(account(state="removal_pending"), "monthly", ENDS)


def test_who_is_subscribed_is_not_subscribed_again() -> None:
    subscribed = changed(account(), rules.subscribe(account(), "monthly", BEGUN))
    with pytest.raises(AlreadySubscribed):
        rules.subscribe(subscribed, "annual", BEGUN)


def test_a_trial_that_has_subscribed_itself_keeps_its_plan_even_before_the_job_has_seen_it() -> None:
    with pytest.raises(AlreadySubscribed):
        rules.subscribe(account(MONTHLY), "annual", ENDS)
    assert rules.subscribe(account(MONTHLY), "annual", ENDS - INSTANT)["plan"] == "annual"
    assert plan_of(account(MONTHLY), ENDS - INSTANT) is None
    assert plan_of(account(MONTHLY), ENDS) == "monthly"


def test_a_trial_is_announced_to_expire_once_three_days_before() -> None:
    soon = ENDS - timedelta(days=3)
    assert rules.about_to_expire(account(), soon - INSTANT) is None
    assert rules.about_to_expire(account(), soon) == Change(trial_stage="expiring", lifecycle_at=ENDS)
    assert rules.about_to_expire(changed(account(), rules.about_to_expire(account(), soon)), soon) is None
    assert rules.about_to_expire(account(), ENDS) is None


def test_an_expired_trial_is_warned_about_twice_and_then_removed() -> None:
    account, purge_at = expired(), ENDS + timedelta(days=30)
    assert rules.next_warning(account, purge_at - timedelta(days=7) - INSTANT) is None
    first = rules.next_warning(account, purge_at - timedelta(days=7))
    assert first == Change(trial_stage="warned_once", lifecycle_at=purge_at - timedelta(days=1))
    assert rules.deleted_at(first) == purge_at
    changed(account, first)
    assert rules.next_warning(account, purge_at - timedelta(days=1) - INSTANT) is None
    second = rules.next_warning(account, purge_at - timedelta(days=1))
    assert second == Change(trial_stage="warned_twice", lifecycle_at=purge_at)
    assert rules.deleted_at(second) == purge_at
    changed(account, second)
    assert not rules.is_to_be_removed(account, purge_at - INSTANT)
    assert rules.is_to_be_removed(account, purge_at)


def test_a_job_that_was_silent_still_leaves_a_week_and_a_day() -> None:
    account, now = expired(), ENDS + timedelta(days=70)
    first = rules.next_warning(account, now)
    assert first is not None
    assert rules.deleted_at(first) == now + timedelta(days=7)
    changed(account, first)
    assert rules.next_warning(account, now) is None
    later = now + timedelta(days=20)
    second = rules.next_warning(account, later)
    assert second is not None
    assert rules.deleted_at(second) == later + timedelta(days=1)


def test_nobody_else_is_warned_or_removed() -> None:
    late = ENDS + timedelta(days=100)
    for record in (account(), account(state="subscribed"), account(state="removal_pending")):
        assert rules.next_warning(record, late) is None
        assert not rules.is_to_be_removed(record, late)


@pytest.mark.parametrize(
    ("plan", "subscribed_on", "today", "renewal"),
    [
        ("monthly", date(2023, 1, 24), date(2023, 2, 10), date(2023, 2, 24)),
        ("monthly", date(2023, 1, 31), date(2023, 2, 10), date(2023, 2, 28)),
        ("monthly", date(2023, 1, 24), date(2023, 1, 24), date(2023, 2, 24)),
        ("annual", date(2022, 8, 17), date(2023, 2, 10), date(2023, 8, 17)),
        ("annual", date(2022, 8, 17), date(2023, 8, 17), date(2024, 8, 17)),
        ("annual", date(2020, 2, 29), date(2023, 2, 10), date(2023, 2, 28)),
    ],
)
def test_a_subscription_renews(plan: str, subscribed_on: date, today: date, renewal: date) -> None:
    subscribed = account(state="subscribed", plan=plan, subscribed_on=subscribed_on)
    assert renewal_on(subscribed, datetime.combine(today, time(23, 59), UTC)) == renewal


def test_only_subscriptions_renew() -> None:
    assert renewal_on(account(), datetime(2023, 1, 11, tzinfo=UTC)) is None
    removed = account(state="removal_pending", plan="monthly", subscribed_on=date(2023, 1, 24))
    assert renewal_on(removed, datetime(2023, 1, 30, tzinfo=UTC)) is None


def test_the_first_term_is_invoiced_at_midnight() -> None:
    assert rules.invoiced_at(date(2023, 1, 24)) == datetime(2023, 1, 24, tzinfo=UTC)
