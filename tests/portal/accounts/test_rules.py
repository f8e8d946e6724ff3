from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal import keys
from portal.accounts import rules
from portal.accounts.records import Account
from portal.accounts.rules import DataCenterInUse, NotBeingRemoved, StillSubscribed
from portal.change import Change
from portal.subscriptions.rules import RemovalPending
from portal.tree import Node

NOW = datetime(2023, 1, 24, 12, tzinfo=UTC)
INSTANT = timedelta(milliseconds=1)
EXPIRING = {"mode": "trial_with_expiration", "plan": None}
AUTO = {"mode": "trial_with_auto_subscription", "plan": "annual"}


def account(**values: Any) -> Account:
    usual = {
        "state": "subscribed",
        "plan": "monthly",
        "subscribed_on": date(2023, 1, 2),
        "name": "Rosy White",
    }
    given = {**usual, "subscription_default": EXPIRING, **values}
    return Account(keys.node(Node("dst_1", "prt_1", "acc_1")), keys.NODE, account_id="acc_1", **given)


def trial(ends_at: datetime, default: dict[str, Any] = EXPIRING, **values: Any) -> Account:
    begun = {"state": "trial", "plan": None, "subscribed_on": None, "trial_ends_at": ends_at}
    return account(**{**begun, "subscription_default": default, **values})


@pytest.mark.parametrize(
    ("left", "status"),
    [
        (timedelta(days=14), "trial_started"),
        (timedelta(days=3) + INSTANT, "trial_started"),
        (timedelta(days=3), "trial_expiring"),
        (INSTANT, "trial_expiring"),
        (timedelta(), "trial_expired"),
        (-timedelta(days=40), "trial_expired"),
    ],
)
def test_the_status_of_a_trial_follows_the_clock_alone(left: timedelta, status: str) -> None:
    assert rules.account_status(trial(NOW + left), NOW) == status


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (account(), "monthly_subscribed"),
        (account(plan="annual"), "annual_subscribed"),
        (account(state="removal_pending"), "removal_pending"),
        (trial(NOW - INSTANT, state="expired"), "trial_expired"),
        (trial(NOW, AUTO), "annual_subscribed"),
        (trial(NOW + INSTANT, AUTO), "trial_expiring"),
    ],
)
def test_the_status_of_the_others(record: Account, status: str) -> None:
    assert rules.account_status(record, NOW) == status


def test_a_change_holds_what_is_new_only() -> None:
    assert rules.change(account(), name="Rosy White", data_center=None) == Change()
    assert rules.change(account(), name="Rose", data_center="eu") == Change(name="Rose", data_center="eu")


@pytest.mark.parametrize("used", [{"task_count": 1}, {"size_bytes": 1}])
def test_data_does_not_move(used: dict[str, int]) -> None:
    with pytest.raises(DataCenterInUse):
        rules.change(account(**used, data_center="eu"), name=None, data_center="us")
    assert rules.change(account(**used, data_center="eu"), name=None, data_center="eu") == Change()


def test_an_account_that_is_being_removed_does_not_change_and_is_not_entered() -> None:
    ending = account(state="removal_pending")
    with pytest.raises(RemovalPending):
        rules.change(ending, name="Rose", data_center=None)
    with pytest.raises(RemovalPending):
        rules.check_open(ending)
    with pytest.raises(RemovalPending):
        rules.remove(ending, NOW)


def test_removing_stops_billing_today_and_asks_for_the_purge_within_a_day() -> None:
    assert rules.remove(account(), NOW) == Change(
        state="removal_pending",
        removed_at=NOW,
        ended_on=date(2023, 1, 24),
        trial_stage=None,
        lifecycle="purge",
        lifecycle_at=NOW + timedelta(days=1),
    )


def test_a_trial_that_is_removed_was_never_subscribed() -> None:
    assert "ended_on" not in rules.remove(trial(NOW + INSTANT), NOW)
    assert "ended_on" not in rules.remove(trial(NOW), NOW)


def test_a_trial_that_had_subscribed_itself_is_billed_until_its_removal() -> None:
    change = rules.remove(trial(NOW - timedelta(days=1), AUTO), NOW)
    assert change["state"] == "removal_pending"
    assert (change["plan"], change["subscribed_on"], change["ended_on"]) == (
        "annual",
        date(2023, 1, 23),
        date(2023, 1, 24),
    )


def test_only_what_is_being_removed_can_be_purged() -> None:
    with pytest.raises(NotBeingRemoved):
        rules.data_purged(account(), NOW)
    purged = rules.data_purged(account(state="removal_pending"), NOW)
    assert purged == Change(purged_at=NOW, lifecycle="purge", lifecycle_at=NOW)
    assert rules.data_purged(account(state="removal_pending", purged_at=NOW), NOW + INSTANT) == Change()


def test_what_was_billed_is_kept_until_its_last_bill() -> None:
    waiting = rules.purged(account(state="removal_pending", purged_at=NOW))
    assert (waiting["state"], waiting["lifecycle"]) == ("removed", None)
    assert "lifecycle" not in rules.purged(account(state="removal_pending", finally_billed_at=NOW))
    assert "lifecycle" not in rules.purged(trial(NOW, state="removal_pending"))


def test_the_last_bill_lets_the_rest_go() -> None:
    with pytest.raises(StillSubscribed):
        rules.finally_billed(account(), NOW)
    assert rules.finally_billed(account(state="removal_pending"), NOW) == Change(finally_billed_at=NOW)
    assert rules.finally_billed(account(state="removed"), NOW) == Change(
        finally_billed_at=NOW, lifecycle="purge", lifecycle_at=NOW
    )
    assert rules.finally_billed(account(state="removed", finally_billed_at=NOW), NOW + INSTANT) == Change()
