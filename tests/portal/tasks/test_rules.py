from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal.accounts.records import Account
from portal.billing.records import Usage
from portal.change import Change
from portal.subscriptions.rules import RemovalPending
from portal.tasks import rules
from portal.tasks.records import Task

NOW = datetime(2023, 1, 10, 12, tzinfo=UTC)


def account(**values: Any) -> Account:
    usual = {
        "state": "subscribed",
        "plan": "monthly",
        "subscription_default": {},
        "task_count": 2,
        "size_bytes": 30,
    }
    return Account("pk", "sk", **usual | values)


def trial(mode: str, plan: str | None) -> Account:
    default = {"mode": mode, "plan": plan}
    return account(state="trial", plan=None, subscription_default=default, trial_ends_at=NOW)


def task(state: str = "active", outcome: str | None = "success", **values: Any) -> Task:
    usual = {"name": "Mail", "protect": {"scope": "all"}, "frequency": "daily", "size_bytes": 10}
    return Task("pk", "sk", state=state, last_run_status=outcome, **usual | values)


def test_backups_run_on_trial_and_when_subscribed() -> None:
    expiring = trial("trial_with_expiration", None)
    assert rules.is_backing_up(expiring, NOW - timedelta(milliseconds=1))
    assert not rules.is_backing_up(expiring, NOW)
    assert rules.is_backing_up(trial("trial_with_auto_subscription", "annual"), NOW)
    assert rules.is_backing_up(account(), NOW)
    assert not rules.is_backing_up(account(state="expired"), NOW)
    with pytest.raises(rules.BackupsStopped):
        rules.check_backing_up(expiring, NOW)
    with pytest.raises(RemovalPending):
        rules.check_backing_up(account(state="removal_pending"), NOW)


def test_a_task_is_added_while_there_is_room() -> None:
    assert rules.add(account(task_count=39)) == Change(task_count=40)
    with pytest.raises(rules.TooManyTasks):
        rules.add(account(task_count=40))
    with pytest.raises(RemovalPending):
        rules.add(account(state="removal_pending"))


def test_high_frequency_has_to_be_allowed() -> None:
    rules.check_frequency(account(high_frequency_allowed=True), "high")
    rules.check_frequency(account(), "daily")
    with pytest.raises(rules.HighFrequencyNotAllowed):
        rules.check_frequency(account(), "high")


def test_only_what_differs_is_changed() -> None:
    assert rules.change(task(), {"name": "Mail", "frequency": "high"}) == Change(frequency="high")
    assert rules.change(task(), {}) == Change()


def test_a_task_is_active_or_paused_until_it_is_deleted() -> None:
    assert rules.activate(task("paused")) == Change(state="active")
    assert rules.pause(task("active")) == Change(state="paused")
    assert rules.delete(task("paused"), NOW) == Change(state="deleting", deleted_at=NOW)
    with pytest.raises(rules.AlreadyActive):
        rules.activate(task("active"))
    with pytest.raises(rules.AlreadyPaused):
        rules.pause(task("paused"))


@pytest.mark.parametrize("state", ["deleting", "deleted"])
def test_a_deleted_task_does_not_change_any_more(state: str) -> None:
    for attempt in (
        lambda: rules.activate(task(state)),
        lambda: rules.pause(task(state)),
        lambda: rules.delete(task(state), NOW),
        lambda: rules.change(task(state), {"name": "Other"}),
    ):
        with pytest.raises(rules.TaskBeingDeleted):
            attempt()


def test_an_account_without_a_task_is_smaller_by_it() -> None:
    left = [task(outcome="failed")]
    assert rules.without(account(), task(), left) == Change(
        task_count=1, size_bytes=20, backup_status="failed"
    )


@pytest.mark.parametrize(
    ("tasks", "status"),
    [
        ([], "no_backups"),
        ([task(outcome=None)], "no_backups"),
        ([task("paused"), task("deleting")], "no_backups"),
        ([task(), task(outcome=None), task("paused", "failed")], "successful"),
        ([task(), task(outcome="failed")], "partially_failed"),
        ([task(outcome="partial")], "partially_failed"),
        ([task(outcome="partial"), task(outcome="failed")], "partially_failed"),
        ([task(outcome="failed"), task(outcome="failed")], "failed"),
    ],
)
def test_the_backup_status_follows_the_last_runs_of_active_tasks(tasks: list[Task], status: str) -> None:
    assert rules.backup_status(tasks) == status


def test_the_earliest_day_to_be_counted_anew_is_remembered() -> None:
    day = date(2023, 1, 10)
    assert rules.recount_from(Usage("pk", "sk"), day) == Change(unsettled_from_on=day)
    earlier = Usage("pk", "sk", unsettled_from_on=date(2023, 1, 9))
    assert rules.recount_from(earlier, day) == Change(unsettled_from_on=date(2023, 1, 9))


def test_what_a_task_leaves_is_kept_longer_than_days_are_recounted() -> None:
    assert rules.tidied_from(NOW) == date(2023, 3, 22)
    assert rules.tidy_later(Usage("pk", "sk"), NOW) == Change(tidy_on=date(2023, 3, 22))
    earlier = Usage("pk", "sk", tidy_on=date(2023, 2, 1))
    assert rules.tidy_later(earlier, NOW) == Change(tidy_on=date(2023, 2, 1))
