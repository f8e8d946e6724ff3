"""Which events are taken in, and what each changes. Nothing here depends on the order in which events
arrive."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from portal.billing.usage import Status, Transition, is_billable
from portal.change import Change
from portal.engine.events import (
    AnyEvent,
    BackupCompleted,
    ChangedEntity,
    DiscoveryCompleted,
    EntitiesChanged,
    FoundEntity,
    PurgeCompleted,
)
from portal.errors import Conflict, Invalid, NotFound
from portal.tasks import timelines

if TYPE_CHECKING:
    from datetime import date

    from portal.accounts.records import Account
    from portal.billing.records import Usage
    from portal.tasks.records import Entity, Task

AHEAD = timedelta(hours=1)
"""How far the engine's clock may be ahead of ours."""

_UNKNOWN_KIND = "unknown"


class UnknownAccount(NotFound):
    detail = "There is no such account."


class AccountRemoved(Conflict):
    detail = "The account had been removed by then."


class UnknownTask(NotFound):
    detail = "The account has no such task."


class TaskDeleted(Conflict):
    detail = "The task had been deleted by then."


class TaskNotDeleted(Conflict):
    detail = "Nobody has asked to delete this task."


class InTheFuture(Invalid):
    detail = "The event is said to have occurred, or the run to have ended, later than now."


class UnknownRestore(NotFound):
    detail = "There is no such restore."


class UnknownExport(NotFound):
    detail = "There is no such export."


def check_time(event: AnyEvent, now: datetime) -> None:
    """Raises InTheFuture."""
    ended_at = event.finished_at if isinstance(event, BackupCompleted) else event.occurred_at
    if max(event.occurred_at, ended_at) > now + AHEAD:
        raise InTheFuture


def check_account(event: AnyEvent, account: "Account", usage: "Usage") -> None:
    """Whether the account is still there, or was when something occurred that its last bill depends on.

    The end of its purge is told of afterwards.

    Raises:
        AccountRemoved: neither.
    """
    if isinstance(event, PurgeCompleted) or account.state not in ("removal_pending", "removed"):
        return
    is_billed = isinstance(event, EntitiesChanged | DiscoveryCompleted) and not usage.closed
    if account.state == "removed" or not is_billed or event.occurred_at >= account.removed_at:
        raise AccountRemoved


def check_task(event: AnyEvent, task: "Task") -> None:
    """Whether the task still existed when the event occurred.

    Raises:
        TaskDeleted: it did not.
    """
    if task.deleted_at is not None and event.occurred_at >= task.deleted_at:
        raise TaskDeleted


def task_purged(task: "Task") -> Change:
    """The engine has deleted what a task had backed up: the task is shown no longer. Empty when repeated.

    Raises:
        TaskNotDeleted: nobody has asked for it.
    """
    if task.is_live:
        raise TaskNotDeleted
    return Change(state="deleted") if task.state == "deleting" else Change()


def last_run(task: "Task", event: BackupCompleted) -> Change:
    """The task's last run: the one that finished last; empty when that is another one."""
    latest = (event.finished_at, event.run_id)
    if task.last_run_at is not None and (task.last_run_at, task.last_run_id) >= latest:
        return Change()
    return Change(last_run_id=event.run_id, last_run_at=event.finished_at, last_run_status=event.status)


def recount(usage: "Usage", event: AnyEvent, now: datetime) -> Change:
    """From which day on the account's counts have to be taken anew after an event about its entities."""
    occurred_on = event.occurred_at.date()
    changed_from_on = timelines.recounted_from(occurred_on, now.astimezone(UTC).date())
    return Change(
        unsettled_from_on=_earlier(usage.unsettled_from_on, changed_from_on),
        entities_from_on=_earlier(usage.entities_from_on, occurred_on),
    )


def described(entity: "Entity", found: FoundEntity, event: AnyEvent) -> Change:
    """Name and kind by the latest event that tells them."""
    if not _is_later(event, entity.changed_at, entity.changed_by):
        return Change()
    return Change(
        name=found.name, entity_kind=found.kind, changed_at=event.occurred_at, changed_by=event.event_id
    )


def measured(entity: "Entity", changed: ChangedEntity, event: AnyEvent) -> Change:
    """Size and last backup by the latest event that tells them."""
    if not _is_later(event, entity.measured_at, entity.measured_by):
        return Change()
    return Change(
        size_bytes=changed.bytes,
        last_backup_at=changed.last_backup_at,
        measured_at=event.occurred_at,
        measured_by=event.event_id,
    )


def became(
    entity: "Entity", found: FoundEntity | None, event: AnyEvent, *, now: datetime, unsettled_from_on: "date"
) -> Change:
    """The entity's timeline with one more state, and the state it is in by now. None: it has vanished."""
    status, licensed = (found.status, found.licensed) if found else ("inactive", None)
    transition = Transition(event.occurred_at, event.event_id, status, licensed)
    timeline = timelines.told(
        timelines.load(entity.timeline), transition, now=now, unsettled_from_on=unsettled_from_on
    )
    latest = timeline[-1]
    return Change(timeline=timelines.dump(timeline), status=latest.status, licensed=latest.licensed)


def unseen(entity_id: str) -> Change:
    """What is known of an entity of which no event has told yet."""
    return Change(name=entity_id, entity_kind=_UNKNOWN_KIND, status="inactive", size_bytes=0, timeline=[])


def counts_as_billable(entity: "Entity") -> bool:
    """Whether the entity is billable as it is now, by the usual weights."""
    return is_billable(entity.service, entity.entity_kind, cast("Status", entity.status), entity.licensed)


def _is_later(event: AnyEvent, at: datetime | None, by: str | None) -> bool:
    return at is None or (event.occurred_at, event.event_id) > (at, by or "")


def _earlier(known: "date | None", day: "date") -> "date":
    return min(known or day, day)
