"""What is written beside a change, in its transaction: the audit entry and the effects to be carried out.

An effect (mail, an engine command, a document to render) is never carried out by the handler that causes it: it is
written as an outbox message, and the table's stream hands it to a queue. So a handler never half-succeeds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import UnicodeAttribute

from portal import ids, keys
from portal.activities import Activity as Activity  # noqa: PLC0414  who writes entries finds it here
from portal.scope import Caller
from portal.table import Item, JsonAttribute, Put, Write, expiry, stage
from portal.tree import Node, Tier

_OUTBOX_KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit trail of the portal at `node`."""

    activity: Activity
    node: Node
    description: str
    account: str = ""
    """E-mail of the partner or account that it is about."""
    about: Node | None = None
    """Where that is in the tree. Users who see a list of accounts only see the entry if it is on their list, so
    say it wherever `account` is said.
    """
    completed: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """One message for a queue of the template, on behalf of the tenant at `node`."""

    queue: str
    node: Node
    body: dict[str, Any] = field(hash=False)


class AuditEntry(Item, discriminator="audit"):
    """Stored `Entry`. Never changed or deleted by any operation.

    It stands in the indexes of the vendor, or of the distributor in whose portal or partner's portal it was written.
    What was done inside an account's portal is the customer's own: it stands in the account's partition alone.
    """

    entry_id = UnicodeAttribute()
    activity = UnicodeAttribute()
    status = UnicodeAttribute()
    account = UnicodeAttribute(null=True)
    about = UnicodeAttribute(null=True)
    """Node of the partner or account whose e-mail `account` was."""
    performed_by = UnicodeAttribute()
    performed_from = UnicodeAttribute(null=True)
    """The portal that the acting user belongs to, when it entered this one from above."""
    performed_with = UnicodeAttribute(null=True)
    """Client id of the API key that acted in the user's place."""
    description = UnicodeAttribute()

    def distributor_key(self) -> tuple[str, str] | None:
        if self.node.tier not in (Tier.DISTRIBUTOR, Tier.PARTNER):
            return None
        return keys.by_distributor(self.node, "AUDIT", self.sk)

    def index(self) -> None:
        super().index()
        if self.node.tier is not Tier.ACCOUNT:
            self.audit_user_pk = keys.audit_by_user(self.node, keys.folded(self.performed_by))
            self.audit_activity_pk = keys.audit_by_activity(self.node, self.activity, self.status)
            if self.account:
                self.audit_account_pk = keys.audit_by_account(self.node, keys.folded(self.account))


class OutboxMessage(Item, discriminator="outbox"):
    """Stored `Message`; the stream delivers it, TTL clears it away."""

    queue = UnicodeAttribute()
    body = JsonAttribute()


def written(
    entries: Iterable[Entry], messages: Iterable[Message], *, by: Caller, at: datetime
) -> list[Write]:
    """The writes that put these entries and messages into a transaction."""
    return [_audited(entry, by, at) for entry in entries] + [_sent(message, at) for message in messages]


def _audited(entry: Entry, by: Caller, at: datetime) -> Write:
    entry_id = ids.new("aud", at)
    stored = AuditEntry(
        keys.node(entry.node),
        keys.audit_entry(at, entry_id),
        entry_id=entry_id,
        activity=entry.activity,
        status="completed" if entry.completed else "failed",
        account=entry.account or None,
        about=str(entry.about) if entry.about else None,
        performed_by=by.email or by.kind,
        performed_from=(str(by.home) or "vendor") if by.entered else None,
        performed_with=by.client_id or None,
        description=entry.description,
        created_at=at,
    )
    return stage(Put(stored))


def _sent(message: Message, at: datetime) -> Write:
    key = keys.node(message.node), keys.outbox(ids.new("out", at))
    return Put(waiting(key, message.queue, message.body, at))


def waiting(key: tuple[str, str], queue: str, body: dict[str, Any], at: datetime) -> OutboxMessage:
    """A stored message under a key of its own, where there is no tenant on whose behalf it could be sent."""
    kept_until = expiry(at + _OUTBOX_KEPT_FOR)
    return OutboxMessage(*key, queue=queue, body=body, created_at=at, expires_at=kept_until)
