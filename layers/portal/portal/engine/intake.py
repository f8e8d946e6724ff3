"""Taking in what the engine reports.

Events are refused one by one. The others are put together by account: one transaction for up to 30 of them
holds a marker for each, which makes its repeats harmless, and everything that they change. What they read is
read for all accounts at once; where somebody interferes, only that transaction's part is read again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar

from pydantic import ValidationError

from portal import keys
from portal.accounts.records import Account
from portal.accounts.rules import data_purged
from portal.billing.records import Usage
from portal.change import Change
from portal.engine import records, rules, views
from portal.engine.events import (
    EVENT,
    AnyEvent,
    BackupCompleted,
    DiscoveryCompleted,
    EntitiesChanged,
    ExportCompleted,
    FoundEntity,
    PurgeCompleted,
    RestoreCompleted,
    entity_ids_of,
)
from portal.errors import Conflict, FieldError, Invalid, PortalError
from portal.scope import EVERYTHING
from portal.table import MOST_WRITES, Check, Contended, Item, Put, Update, Write, expiry, settled
from portal.tasks.records import EngineEvent, Entity, Run, Task, list_tasks
from portal.tasks.rules import backup_status
from portal.tree import Node

_MOST_AT_ONCE = 30
_MARKER_KEPT = timedelta(days=40)
"""A repeat that comes later than this changes nothing either: it finds its own traces in what it would
change."""

_Record = TypeVar("_Record", bound=Item)
Commit = Callable[..., None]


class _TakenMeanwhile(Conflict):
    """A record that was to be new is there already: somebody else is taking in the same events."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Events of one account that go into one transaction; each with its place in the call."""

    account: Node
    events: tuple[tuple[int, AnyEvent], ...]


def take_in(reported: Sequence[Any], now: datetime, commit: Commit) -> list[views.Result]:
    """What became of each event, in order.

    Args:
        reported: events as they were sent, not validated yet.
        commit: writes one transaction at once.

    Raises:
        Conflict: others kept interfering with one of the transactions; the others are written, and everything
        can be
            sent again.
    """
    results: dict[int, views.Result] = {}
    valid: list[tuple[int, AnyEvent]] = []
    for place, given in enumerate(reported):
        try:
            event = _validated(given)
            rules.check_time(event, now)
        except PortalError as refusal:
            results[place] = views.refused(_event_id(given), refusal)
        else:
            valid.append((place, event))
    nodes = records.find_account_nodes(EVERYTHING, (event.account_id for _, event in valid))
    known: list[tuple[int, AnyEvent]] = []
    for place, event in valid:
        if event.account_id in nodes:
            known.append((place, event))
        else:
            results[place] = views.refused(event.event_id, rules.UnknownAccount())
    batches = list(_batches(known, nodes))
    shelf = records.find_all(EVERYTHING, (key for batch in batches for key in _wanted(batch)))
    for batch in batches:
        results |= _taken_in(batch, shelf, now, commit)
    return [results[place] for place in range(len(reported))]


def _validated(given: Any) -> AnyEvent:
    try:
        return EVENT.validate_python(given)
    except ValidationError as error:
        fields = tuple(
            # The first part names the event's type, which is no part of the event.
            FieldError(".".join(str(part) for part in each["loc"][1:]) or "event", each["msg"])
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise Invalid("The event is not valid.", errors=fields) from None


def _event_id(given: Any) -> str:
    event_id = given.get("event_id") if isinstance(given, dict) else None
    return event_id[:100] if isinstance(event_id, str) else ""


def _batches(events: Iterable[tuple[int, AnyEvent]], nodes: dict[str, Node]) -> Iterator[_Batch]:
    ordered = sorted(events, key=lambda each: (each[1].account_id, each[0]))
    for account_id, of_account in groupby(ordered, key=lambda each: each[1].account_id):
        batch: list[tuple[int, AnyEvent]] = []
        writes = 0
        for place, event in of_account:
            if batch and (len(batch) == _MOST_AT_ONCE or writes + _most_writes(event) > MOST_WRITES - 2):
                yield _Batch(nodes[account_id], tuple(batch))
                batch, writes = [], 0
            batch.append((place, event))
            writes += _most_writes(event)
        yield _Batch(nodes[account_id], tuple(batch))


def _most_writes(event: AnyEvent) -> int:
    """Its marker, its task, its run or entities. Two more are the account and its usage, once in a
    transaction."""
    return 3 + len(entity_ids_of(event))


def _wanted(batch: _Batch) -> Iterator[records.Key]:
    pk = keys.node(batch.account)
    yield pk, keys.NODE
    yield keys.usage(batch.account)
    for _, event in batch.events:
        yield pk, keys.event(event.event_id)
        task_id = getattr(event, "task_id", None)
        if task_id:
            yield pk, keys.task(task_id)
            yield from ((pk, keys.entity(task_id, entity_id)) for entity_id in entity_ids_of(event))
        if isinstance(event, BackupCompleted):
            yield pk, keys.run(event.task_id, event.started_at, event.run_id)


def _taken_in(
    batch: _Batch, shelf: dict[records.Key, Item], now: datetime, commit: Commit
) -> dict[int, views.Result]:
    """Fold a batch into its account and write that down.

    The shelf's records change as they are folded into, so after a collision they are read again; after a
    success the account's next batch goes on with them.
    """
    stale = False

    def attempt() -> dict[int, views.Result]:
        nonlocal stale
        if stale:
            wanted = set(_wanted(batch))
            for key in wanted:
                shelf.pop(key, None)
            shelf.update(records.find_all(EVERYTHING, wanted))
        stale = True
        desk = _Desk(batch.account, shelf, now)
        results = {place: desk.take(event) for place, event in batch.events}
        try:
            commit(*desk.writes())
        except _TakenMeanwhile:
            raise Contended from None
        return results

    return settled(attempt)


@dataclass(slots=True)
class _Desk:
    """One account's records while events are folded into them."""

    account_node: Node
    shelf: dict[records.Key, Item]
    now: datetime
    new: dict[records.Key, Item] = field(default_factory=dict)
    changed: dict[records.Key, Item] = field(default_factory=dict)
    read: dict[records.Key, Item] = field(default_factory=dict)
    """What decisions were based on; still as it was when the transaction is written."""

    def take(self, event: AnyEvent) -> views.Result:
        marker = EngineEvent(
            keys.node(self.account_node),
            keys.event(event.event_id),
            expires_at=expiry(self.now + _MARKER_KEPT),
        )
        if self._key(marker) in self.shelf:
            return views.duplicate(event.event_id)
        try:
            self._fold(event)
        except _Repeated:
            return views.duplicate(event.event_id)
        except PortalError as refusal:
            return views.refused(event.event_id, refusal)
        self._add(marker)
        return views.accepted(event.event_id)

    def writes(self) -> list[Write]:
        """The one transaction of all that was folded; nothing where every event was refused or a repeat."""
        if not self.new and not self.changed:
            return []
        checked = [record for key, record in self.read.items() if key not in self.changed]
        return [
            *(Put(record, taken=_TakenMeanwhile) for record in self.new.values()),
            *(Update(record, Change()) for record in self.changed.values()),
            *(Check(record) for record in checked),
        ]

    def _fold(self, event: AnyEvent) -> None:
        account = self._find(Account, keys.NODE)
        usage = self.shelf.get(keys.usage(self.account_node))
        if account is None or not isinstance(usage, Usage):
            raise rules.UnknownAccount
        rules.check_account(event, account, usage)
        match event:
            case BackupCompleted():
                self._complete_backup(event, account, self._task(event, event.task_id))
            case EntitiesChanged() | DiscoveryCompleted():
                self._tell_entities(event, account, self._task(event, event.task_id), usage)
            case PurgeCompleted(task_id=None):
                self._change(account, data_purged(account, self.now))
            case PurgeCompleted(task_id=str(task_id)):
                task = self._task(event, task_id)
                self._change(task, rules.task_purged(task))
            case RestoreCompleted():
                raise rules.UnknownRestore
            case ExportCompleted():
                raise rules.UnknownExport
        self.read[self._key(account)] = account

    def _complete_backup(self, event: BackupCompleted, account: Account, task: Task) -> None:
        sk = keys.run(event.task_id, event.started_at, event.run_id)
        if self._find(Run, sk):
            raise _Repeated
        self._add(
            Run(
                keys.node(self.account_node),
                sk,
                run_id=event.run_id,
                task_id=event.task_id,
                started_at=event.started_at,
                finished_at=event.finished_at,
                status=event.status,
                bytes_transferred=event.bytes,
                errors=event.errors,
            )
        )
        former = task.last_run_status
        self._change(task, Change(run_count=task.run_count + 1) | rules.last_run(task, event))
        if task.state == "active" and task.last_run_status != former:
            # Written even if it stays the same, so that two tasks' runs that come at once are not decided on
            # apart.
            self._change(account, Change(backup_status=backup_status(self._tasks())), always=True)

    def _tell_entities(
        self, event: EntitiesChanged | DiscoveryCompleted, account: Account, task: Task, usage: Usage
    ) -> None:
        self._change(usage, rules.recount(usage, event, self.now), always=True)
        if isinstance(event, EntitiesChanged):
            for changed in event.entities:
                entity = self._tell(event, changed.entity_id, changed, account, task, usage)
                before = int(entity.size_bytes)
                self._change(entity, rules.measured(entity, changed, event))
                self._grow(account, task, int(entity.size_bytes) - before)
        else:
            for found in event.new:
                self._tell(event, found.entity_id, found, account, task, usage)
            for entity_id in event.vanished:
                self._tell(event, entity_id, None, account, task, usage)

    def _tell(
        self,
        event: EntitiesChanged | DiscoveryCompleted,
        entity_id: str,
        found: FoundEntity | None,
        account: Account,
        task: Task,
        usage: Usage,
    ) -> Entity:
        entity = self._find(Entity, keys.entity(task.task_id, entity_id))
        billable_before = entity is not None and rules.counts_as_billable(entity)
        if entity is None:
            entity = Entity(
                keys.node(self.account_node),
                keys.entity(task.task_id, entity_id),
                entity_id=entity_id,
                task_id=task.task_id,
                service=task.service,
                **rules.unseen(entity_id),
            )
            self._add(entity)
            self._change(task, Change(entity_count=task.entity_count + 1))
        if found:
            self._change(entity, rules.described(entity, found, event))
        became = rules.became(entity, found, event, now=self.now, unsettled_from_on=usage.unsettled_from_on)
        self._change(entity, became)
        difference = rules.counts_as_billable(entity) - billable_before
        self._change(task, Change(billable_count=task.billable_count + difference))
        return entity

    def _grow(self, account: Account, task: Task, by_bytes: int) -> None:
        self._change(task, Change(size_bytes=task.size_bytes + by_bytes))
        if task.is_live:
            self._change(account, Change(size_bytes=account.size_bytes + by_bytes))

    def _task(self, event: AnyEvent, task_id: str) -> Task:
        task = self._find(Task, keys.task(task_id))
        if task is None:
            raise rules.UnknownTask
        if not isinstance(event, PurgeCompleted):
            rules.check_task(event, task)
        self.read[self._key(task)] = task
        return task

    def _tasks(self) -> Iterator[Task]:
        """All of the account's tasks, those that events of this transaction are about as these have left
        them."""
        for stored in list_tasks(EVERYTHING, self.account_node):
            on_desk = self.read.get(self._key(stored))
            yield on_desk if isinstance(on_desk, Task) else stored

    def _find(self, model: type[_Record], sk: str) -> _Record | None:
        found = self.shelf.get((keys.node(self.account_node), sk))
        return found if isinstance(found, model) else None

    def _add(self, record: Item) -> None:
        self.shelf[self._key(record)] = self.new[self._key(record)] = record

    def _change(self, record: Item, change: Change, *, always: bool = False) -> None:
        """Give a record its new values at once, for the events that follow; write it if that changes
        anything."""
        differing = {name: value for name, value in change.items() if getattr(record, name) != value}
        for name, value in differing.items():
            setattr(record, name, value)
        if (differing or always) and self._key(record) not in self.new:
            self.changed[self._key(record)] = record

    @staticmethod
    def _key(record: Item) -> records.Key:
        return record.pk, record.sk


class _Repeated(Exception):
    """What the event tells of is known, though under another event's id."""
