"""What is written beside a change, in its transaction: the audit entry and the effects to be carried out.

An effect (mail, an engine command, a document to render) is never carried out by the handler that causes it: it is
written as an outbox message, and the table's stream hands it to a queue. So a handler never half-succeeds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pynamodb.attributes import UnicodeAttribute

from portal import ids, keys
from portal.scope import Caller
from portal.table import Item, JsonAttribute, Put, Write, expiry
from portal.tree import Node

_OUTBOX_KEPT_FOR = timedelta(days=7)


class Activity(StrEnum):
    SIGN_IN = "sign-in"
    ACCOUNT_ACCESSED = "account accessed"
    SUBSCRIBED_TO_PLAN = "subscribed to plan"
    TRIAL_CANCELED = "trial canceled"
    CHANGED_ACCOUNT_NAME = "changed account name"
    SETTINGS_CHANGED = "settings changed"
    SECURITY_SETTINGS_CHANGED = "security settings changed"
    USER_MANAGEMENT = "user management"
    PERMISSIONS_CHANGED = "permissions changed"
    BILLING_DETAILS_UPDATED = "billing details updated"
    NOTIFICATION = "notification"
    INTEGRATION_CHANGED = "integration changed"
    API_KEY_CHANGED = "API key changed"
    ACCOUNT_CREATED = "account created"
    ACCOUNT_REMOVED = "account removed"
    DISTRIBUTOR_CREATED = "distributor created"
    PARTNER_CREATED = "partner created"
    PARTNER_REMOVED = "partner removed"
    TASKS_CHANGED = "tasks changed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit trail of the portal at `node`."""

    activity: Activity
    node: Node
    description: str
    account: str = ""
    """E-mail of the partner or account that it is about."""
    completed: bool = True


@dataclass(frozen=True, slots=True)
class Message:
    """One message for a queue of the template, on behalf of the tenant at `node`."""

    queue: str
    node: Node
    body: dict[str, Any] = field(hash=False)


class AuditEntry(Item, discriminator="audit"):
    """Stored `Entry`. Never changed or deleted by any operation."""

    entry_id = UnicodeAttribute()
    activity = UnicodeAttribute()
    status = UnicodeAttribute()
    account = UnicodeAttribute(null=True)
    performed_by = UnicodeAttribute()
    performed_from = UnicodeAttribute(null=True)
    """The portal that the acting user belongs to, when it entered this one from above."""
    description = UnicodeAttribute()

    def distributor_key(self) -> tuple[str, str] | None:
        if not self.node.distributor:
            return None
        return keys.by_distributor(self.node, "AUDIT", keys.audit_entry(self.created_at, self.entry_id))


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
    return Put(
        AuditEntry(
            keys.node(entry.node),
            keys.audit_entry(at, entry_id),
            entry_id=entry_id,
            activity=entry.activity,
            status="completed" if entry.completed else "failed",
            account=entry.account or None,
            performed_by=by.email or by.kind,
            performed_from=str(by.home) or "vendor" if by.entered else None,
            description=entry.description,
            created_at=at,
        )
    )


def _sent(message: Message, at: datetime) -> Write:
    return Put(
        OutboxMessage(
            keys.node(message.node),
            keys.outbox(ids.new("out", at)),
            queue=message.queue,
            body=message.body,
            created_at=at,
            expires_at=expiry(at + _OUTBOX_KEPT_FOR),
        )
    )
