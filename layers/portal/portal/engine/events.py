"""What the backup engine reports: the shapes of its events.

Every event names the account and when it occurred, and has an id of its own: whatever arrives twice counts
once, and the order of arrival makes no difference.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from portal.tasks.protection import EntityId

MOST_EVENTS = 100
"""In one call."""
MOST_ENTITIES = 45
"""In one event: two such events fit into one transaction."""

_FIRST_YEAR, _LAST_YEAR = 2000, 2999


def _only_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("An instant is text such as 2023-01-24T18:30:00Z.")
    return value


def _stored(value: datetime) -> datetime:
    """In UTC and whole milliseconds: instants are compared as they are stored."""
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(f"The year must lie between {_FIRST_YEAR} and {_LAST_YEAR}.")
    return value.astimezone(UTC).replace(microsecond=value.microsecond // 1000 * 1000)


Instant = Annotated[AwareDatetime, BeforeValidator(_only_text), AfterValidator(_stored)]
EventId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
OwnId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Bytes = Annotated[StrictInt, Field(ge=0, le=10**15)]
EntityStatus = Literal["active", "inactive", "archived"]


class _Event(BaseModel, extra="forbid"):
    event_id: EventId
    occurred_at: Instant
    account_id: OwnId


class _TaskEvent(_Event):
    task_id: OwnId


class BackupCompleted(_TaskEvent):
    """A run of a task has ended."""

    type: Literal["backup.completed"]
    run_id: OwnId
    started_at: Instant
    finished_at: Instant
    status: Literal["success", "partial", "failed"]
    bytes: Bytes
    errors: Annotated[list[Annotated[str, StringConstraints(max_length=1000)]], Field(max_length=20)] = []

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.finished_at < self.started_at:
            raise ValueError("A run cannot finish before it has started.")
        return self


class FoundEntity(BaseModel, extra="forbid"):
    """An entity that discovery has found."""

    entity_id: EntityId
    name: Text
    kind: Kind
    """Such as `mailbox`, `drive`, `site`, `user`."""
    status: EntityStatus = "active"
    licensed: StrictBool | None = None
    """Of Exchange mailboxes: whether the mailbox has a licence."""


class ChangedEntity(FoundEntity):
    """An entity as it is from the event's instant on."""

    status: EntityStatus
    bytes: Bytes
    """What is backed up of it."""
    last_backup_at: Instant | None = None


class EntitiesChanged(_TaskEvent):
    """Entities of a task have changed, or were backed up again."""

    type: Literal["entities.changed"]
    entities: Annotated[list[ChangedEntity], Field(min_length=1, max_length=MOST_ENTITIES)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _check_each_once([entity.entity_id for entity in self.entities])
        return self


class DiscoveryCompleted(_TaskEvent):
    """The service was searched: which entities are new, and which are gone. Both lists together are
    bounded."""

    type: Literal["discovery.completed"]
    new: Annotated[list[FoundEntity], Field(max_length=MOST_ENTITIES)] = []
    vanished: Annotated[list[EntityId], Field(max_length=MOST_ENTITIES)] = []
    """These are inactive from then on; what is backed up of them stays."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        entity_ids = [*(entity.entity_id for entity in self.new), *self.vanished]
        if len(entity_ids) > MOST_ENTITIES:
            raise ValueError(f"At most {MOST_ENTITIES} entities in one event.")
        _check_each_once(entity_ids)
        return self


class RestoreCompleted(_Event):
    """A restore has ended."""

    type: Literal["restore.completed"]
    restore_id: OwnId
    status: Literal["success", "partial", "failed"]
    errors: Annotated[list[Annotated[str, StringConstraints(max_length=1000)]], Field(max_length=20)] = []


class ExportCompleted(_Event):
    """An export has ended."""

    type: Literal["export.completed"]
    export_id: OwnId
    status: Literal["success", "partial", "failed"]
    bytes: Bytes = 0
    errors: Annotated[list[Annotated[str, StringConstraints(max_length=1000)]], Field(max_length=20)] = []


class PurgeCompleted(_Event):
    """What was backed up is deleted: of the task named, or of the whole account."""

    type: Literal["purge.completed"]
    task_id: OwnId | None = None


Event = Annotated[
    BackupCompleted
    | EntitiesChanged
    | DiscoveryCompleted
    | RestoreCompleted
    | ExportCompleted
    | PurgeCompleted,
    Field(discriminator="type"),
]
AnyEvent = (
    BackupCompleted
    | EntitiesChanged
    | DiscoveryCompleted
    | RestoreCompleted
    | ExportCompleted
    | PurgeCompleted
)
EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Event)


def entity_ids_of(event: AnyEvent) -> list[str]:
    """The entities that an event tells of."""
    match event:
        case EntitiesChanged():
            return [entity.entity_id for entity in event.entities]
        case DiscoveryCompleted():
            return [*(entity.entity_id for entity in event.new), *event.vanished]
        case _:
            return []


def _check_each_once(entity_ids: list[str]) -> None:
    if len(set(entity_ids)) < len(entity_ids):
        raise ValueError("An entity is named twice.")
