"""What may be done with backup tasks, and what follows for their account."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from portal.change import Change
from portal.errors import Conflict
from portal.subscriptions.rules import RemovalPending, ended_trial
from portal.tasks import timelines

if TYPE_CHECKING:
    from portal.accounts.records import Account
    from portal.billing.records import Usage
    from portal.tasks.records import Task

MOST_TASKS = 40
"""Tasks of one account: all of them can be switched, each with its command, in one transaction."""

Outcome = Literal["success", "partial", "failed"]
BackupStatus = Literal["no_backups", "successful", "partially_failed", "failed"]


class TooManyTasks(Conflict):
    detail = f"An account has at most {MOST_TASKS} backup tasks."


class HighFrequencyNotAllowed(Conflict):
    detail = "Several backups a day are not allowed for this account; ask the vendor's support."


class BackupsStopped(Conflict):
    detail = "The trial is over; subscribe the account to back it up again."


class TaskBeingDeleted(Conflict):
    detail = "This task is being deleted."


class AlreadyActive(Conflict):
    detail = "This task is active already."


class AlreadyPaused(Conflict):
    detail = "This task is paused already."


def check_kept(account: "Account") -> None:
    """Whether the account's tasks can still be managed.

    Raises:
        RemovalPending: the account is ending, and its tasks with it.
    """
    if account.state == "removal_pending":
        raise RemovalPending


def check_backing_up(account: "Account", now: datetime) -> None:
    """Whether the account's data may be backed up now: it is on trial or subscribed.

    Raises:
        RemovalPending: it is ending.
        BackupsStopped: its trial is over.
    """
    check_kept(account)
    if not is_backing_up(account, now):
        raise BackupsStopped


def is_backing_up(account: "Account", now: datetime) -> bool:
    """Whether the account's active tasks run; those of an expired trial wait for somebody to subscribe it."""
    over = ended_trial(account, now)
    return (over["state"] if over else account.state) in ("trial", "subscribed")


def check_frequency(account: "Account", frequency: str) -> None:
    """Whether the account may be backed up so often.

    Raises:
        HighFrequencyNotAllowed: no operator has allowed it.
    """
    if frequency == "high" and not account.high_frequency_allowed:
        raise HighFrequencyNotAllowed


def add(account: "Account") -> Change:
    """What one more task changes of its account.

    Raises:
        RemovalPending: the account is ending.
        TooManyTasks: it has as many as it may have.
    """
    check_kept(account)
    if account.task_count >= MOST_TASKS:
        raise TooManyTasks
    return Change(task_count=account.task_count + 1)


def change(task: "Task", given: dict[str, Any]) -> Change:
    """The new settings, as far as they differ.

    Raises:
        TaskBeingDeleted: nothing of it changes any more.
    """
    _check_live(task)
    return Change(**{name: value for name, value in given.items() if getattr(task, name) != value})


def activate(task: "Task") -> Change:
    """Raises TaskBeingDeleted or AlreadyActive."""
    _check_live(task)
    if task.state == "active":
        raise AlreadyActive
    return Change(state="active")


def pause(task: "Task") -> Change:
    """Raises TaskBeingDeleted or AlreadyPaused."""
    _check_live(task)
    if task.state == "paused":
        raise AlreadyPaused
    return Change(state="paused")


def delete(task: "Task", now: datetime) -> Change:
    """From now on none of its entities is billable; the engine is told to delete what it has backed up.

    Raises:
        TaskBeingDeleted: it is ending already.
    """
    _check_live(task)
    return Change(state="deleting", deleted_at=now)


def without(account: "Account", task: "Task", others: Iterable["Task"]) -> Change:
    """What the end of a task changes of its account."""
    return Change(
        task_count=account.task_count - 1,
        size_bytes=account.size_bytes - task.size_bytes,
        backup_status=backup_status(others),
    )


def recount_from(usage: "Usage", on: date) -> Change:
    """That the counts of a day and those after it have to be taken anew."""
    return Change(unsettled_from_on=min(usage.unsettled_from_on or on, on))


def tidy_later(usage: "Usage", deleted_at: datetime) -> Change:
    """That a task deleted at that instant has left something to tidy up, once no day before can be counted
    anew."""
    on = tidied_from(deleted_at)
    return Change(tidy_on=min(usage.tidy_on or on, on))


def tidied_from(deleted_at: datetime) -> date:
    """The first day on which what a deleted task left behind is needed no longer."""
    return (deleted_at + timelines.KEPT).astimezone(UTC).date() + timedelta(days=1)


def backup_status(tasks: Iterable["Task"]) -> BackupStatus:
    """An account's, from the last run of each of its active tasks that has run."""
    outcomes = {task.last_run_status for task in tasks if task.state == "active" and task.last_run_status}
    if not outcomes:
        return "no_backups"
    if outcomes == {"failed"}:
        return "failed"
    return "successful" if outcomes == {"success"} else "partially_failed"


def _check_live(task: "Task") -> None:
    if not task.is_live:
        raise TaskBeingDeleted
