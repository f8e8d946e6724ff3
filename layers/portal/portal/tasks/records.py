"""Backup tasks, their runs and the entities they protect."""

from collections.abc import Iterator

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from portal import keys
from portal.errors import NotFound
from portal.scope import Scope
from portal.table import InstantAttribute, Item, JsonAttribute, find, query
from portal.tree import Node


class Task(Item, discriminator="task"):
    """What is backed up of one service of a customer.

    `state` is `paused`, `active`, `deleting` or, once the engine has confirmed, `deleted`. What a deleted
    task leaves behind stays as long as days that it was billed for can be counted anew; nothing but billing
    sees it.
    """

    task_id = UnicodeAttribute()
    service = UnicodeAttribute()
    name = UnicodeAttribute()
    protect = JsonAttribute()
    """What to protect: `{"scope": "all"}` or `{"scope": "selected", "entity_ids": [...]}`."""
    frequency = UnicodeAttribute(default="daily")
    """`daily`, or `high` where an operator allowed it."""
    state = UnicodeAttribute()
    last_run_id = UnicodeAttribute(null=True)
    last_run_at = InstantAttribute(null=True)
    """When the latest run finished."""
    last_run_status = UnicodeAttribute(null=True)
    """`success`, `partial` or `failed`."""
    entity_count = NumberAttribute(default=0)
    billable_count = NumberAttribute(default=0)
    """Of its entities, those that count by the usual weights."""
    size_bytes = NumberAttribute(default=0)
    """The sum over its entities."""
    run_count = NumberAttribute(default=0)
    deleted_at = InstantAttribute(null=True)
    """From this instant on none of its entities is billable."""

    @property
    def is_live(self) -> bool:
        return self.state in ("paused", "active")


class Run(Item, discriminator="run"):
    """One run of a task."""

    run_id = UnicodeAttribute()
    task_id = UnicodeAttribute()
    started_at = InstantAttribute()
    finished_at = InstantAttribute()
    status = UnicodeAttribute()
    """`success`, `partial` or `failed`."""
    bytes_transferred = NumberAttribute()
    errors = JsonAttribute()
    """A list of texts."""


class Entity(Item, discriminator="entity"):
    """One thing that a task protects: a mailbox, a drive, a site, a user.

    `timeline` holds what billing has to know: its states by the time the engine says they began
    (`portal.tasks.timelines`). The other attributes are those of the latest event that told them.
    """

    entity_id = UnicodeAttribute()
    task_id = UnicodeAttribute()
    service = UnicodeAttribute()
    name = UnicodeAttribute()
    entity_kind = UnicodeAttribute()
    status = UnicodeAttribute()
    """`active`, `inactive` or `archived`."""
    licensed = BooleanAttribute(null=True)
    """Exchange mailboxes only."""
    size_bytes = NumberAttribute(default=0)
    last_backup_at = InstantAttribute(null=True)
    changed_at = InstantAttribute(null=True)
    """When the latest event that told its name and kind occurred; None while it is only known to have
    vanished."""
    changed_by = UnicodeAttribute(null=True)
    """Its event id: breaks ties, so that the order in which events arrive does not matter."""
    measured_at = InstantAttribute(null=True)
    """The same for its size and last backup."""
    measured_by = UnicodeAttribute(null=True)
    timeline = JsonAttribute()


class EngineEvent(Item, discriminator="engine-event"):
    """An engine event that was taken in: its repeats change nothing."""


def get_task(scope: Scope, account: Node, task_id: str) -> Task:
    """A task of an account.

    Raises:
        NotFound: there is none, or it is deleted.
    """
    found = find(Task, keys.node(scope.reach(account)), keys.task(task_id))
    if found is None or found.state == "deleted":
        raise NotFound
    return found


def list_tasks(scope: Scope, account: Node) -> Iterator[Task]:
    """An account's tasks, oldest first, those being deleted included."""
    return (task for task in list_tasks_ever(scope, account) if task.state != "deleted")


def list_tasks_ever(scope: Scope, account: Node) -> Iterator[Task]:
    """An account's tasks, oldest first, with the deleted ones that billing still has to know."""
    return query(Task, keys.node(scope.reach(account)), keys.task())


def list_runs(
    scope: Scope, account: Node, task_id: str, *, before: str = "", limit: int | None = None
) -> Iterator[Run]:
    """A task's runs, latest first; `before` reads on behind (that is, older than) that sort key."""
    pk, prefix = keys.node(scope.reach(account)), keys.run(task_id)
    return query(Run, pk, prefix, newest_first=True, after=before, limit=limit)


def list_entities(
    scope: Scope, account: Node, task_id: str = "", *, after: str = "", limit: int | None = None
) -> Iterator[Entity]:
    """The entities of a task, or of all of an account's tasks that are not deleted or being so, by sort key.

    `after` reads on behind that sort key.
    """
    rows = query(Entity, keys.node(scope.reach(account)), keys.entity(task_id), after=after, limit=limit)
    if task_id:
        return rows
    live = {task.task_id for task in list_tasks(scope, account) if task.is_live}
    return (entity for entity in rows if entity.task_id in live)


def list_entities_ever(scope: Scope, account: Node) -> Iterator[Entity]:
    """All that was ever protected, as far as billing still has to know it, read consistently in pages."""
    return query(Entity, keys.node(scope.reach(account)), keys.entity())
