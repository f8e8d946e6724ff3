"""Audit trails that tests find already written."""

from collections.abc import Iterable
from datetime import datetime
from typing import cast

from portal.activities import Activity
from portal.journal import AuditEntry, Entry, written
from portal.scope import Caller
from portal.table import Put
from portal.tree import Node
from tests.world import administrator


def an_entry(
    node: Node,
    at: datetime,
    activity: Activity = Activity.SETTINGS_CHANGED,
    description: str = "Changed something",
    *,
    by: Caller | None = None,
    account: str = "",
    about: Node | None = None,
    completed: bool = True,
) -> AuditEntry:
    """An entry of the portal at `node` as an operation would have written it; by its administrator, unless said."""
    entry = Entry(activity, node, description, account, about, completed)
    (write,) = written([entry], [], by=by or administrator(node), at=at)
    return cast(AuditEntry, cast(Put, write).record)


def plant_history(entries: Iterable[AuditEntry]) -> None:
    """Store many entries at once."""
    with AuditEntry.batch_write() as batch:
        for entry in entries:
            batch.save(entry)
