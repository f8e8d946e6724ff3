"""Backup tasks, their runs and the entities they protect."""

from collections.abc import Iterator

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from portal import keys
from portal.errors import NotFound
from portal.scope import Scope
from portal.table import InstantAttribute, Item, JsonAttribute, find, query
from portal.tree import Node


class Task(Item, discriminator="task"):
    """What is backed up of one service of a customer. `state` is `paused`, `active` or `deleting`."""

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
    size_bytes = NumberAttribute(default=0)
    """The sum over its entities."""


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
    (`portal.billing.usage`). The other attributes are those of the latest event.
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
    changed_at = InstantAttribute()
    """When the latest event occurred."""
    changed_by = UnicodeAttribute()
    """Its event id: breaks ties, so that the order in which events arrive does not matter."""
    timeline = JsonAttribute()


class EngineEvent(Item, discriminator="engine-event"):
    """An engine event that was taken in: its repeats change nothing."""


def get_task(scope: Scope, account: Node, task_id: str) -> Task:
    found = find(Task, keys.node(scope.reach(account)), keys.task(task_id))
    if found is None:
        raise NotFound
    return found


def list_tasks(scope: Scope, account: Node) -> Iterator[Task]:
    """An account's tasks, oldest first."""
    return query(Task, keys.node(scope.reach(account)), keys.task())


def list_runs(scope: Scope, account: Node, task_id: str) -> Iterator[Run]:
    """A task's runs, latest first."""
    return query(Run, keys.node(scope.reach(account)), keys.run(task_id), newest_first=True)


def list_entities(scope: Scope, account: Node, task_id: str = "", *, after: str = "") -> Iterator[Entity]:
    """The entities of a task, or of all of an account's tasks, by sort key; `after` reads on behind that sort key."""
    return query(Entity, keys.node(scope.reach(account)), keys.entity(task_id), after=after)
