"""Files that somebody asked for and that are written in the background: usage reports, exports of the audit trail."""

from typing import ClassVar

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from portal import keys
from portal.journal import Message
from portal.permissions import Permission
from portal.table import InstantAttribute, Item, JsonAttribute, find
from portal.tree import Node


class StreamedFile(Item):
    """A file of a portal. `state` is `waiting`, `running`, `ready` or `failed`."""

    called: ClassVar[str]
    """What users know it as: `report`."""
    stem: ClassVar[str]
    suffix: ClassVar[str]
    """Its name and ending: `usage-report`, `zip`."""
    pages: ClassVar[str]
    """Where the web portal shows one: `/reports/`, then its id."""
    queue: ClassVar[str]
    """Where its writer's messages go."""
    id_name: ClassVar[str]
    """What they call its id."""
    permission: ClassVar[Permission]
    """What whoever asked for it must still hold while it is written."""

    state = UnicodeAttribute()
    requested_by = UnicodeAttribute()
    """User id."""
    requested_from = UnicodeAttribute()
    """Node of the requester's own portal: another one, when it entered this portal from above."""
    turn = NumberAttribute(default=0)
    """How many invocations have done their part; a message for an earlier turn comes too late."""
    attempts = NumberAttribute(default=0)
    """How often the present turn was begun."""
    claims = NumberAttribute(default=0)
    """How often any turn was begun: whoever finds another number than its own has been overtaken."""
    progress = JsonAttribute(null=True)
    """Where the writer stands (`streamed_files.progress.Progress`); none before the end of the first turn."""
    rows = NumberAttribute(default=0)
    size_bytes = NumberAttribute(default=0)
    failure = UnicodeAttribute(null=True)
    """Why it failed, in words for the requester."""
    touched_at = InstantAttribute()
    """When it was asked for, or last worked on."""
    finished_at = InstantAttribute(null=True)

    @property
    def file_id(self) -> str:
        return keys.split(self.sk)[-1]

    @property
    def folder(self) -> str:
        """Where its files are, below the folder of the portal's."""
        return f"{folder_of(self.node)}{self.file_id}/"

    @property
    def file_key(self) -> str:
        return f"{self.folder}{self.stem}.{self.suffix}"

    @property
    def tails(self) -> str:
        """The folder of what does not fill a part of the upload yet, while it is being written."""
        return f"{self.folder}tail/"

    @property
    def file_name(self) -> str:
        """What a browser saves it as."""
        return f"{self.stem}-{self.created_at:%Y-%m-%d}.{self.suffix}"

    @property
    def page(self) -> str:
        """Path below the portal's address."""
        return self.pages + self.file_id

    def wanted(self, turn: int) -> Message:
        """The message that begins a turn."""
        return Message(
            self.queue, self.node, {"path": str(self.node), self.id_name: self.file_id, "turn": turn}
        )


def folder_of(node: Node) -> str:
    """The folder that holds such files of a tenant's portal and of those below it."""
    return f"reports/{str(node) or 'vendor'}/"


def find_again(file: StreamedFile) -> StreamedFile | None:
    """The same as it is now."""
    return find(type(file), file.pk, file.sk)
