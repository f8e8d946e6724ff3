"""Whose an e-mail address is: a portal's, for one of its users, for the tenant itself, or for both.

Nobody else gets it until both have let it go.
"""

from collections.abc import Iterable
from datetime import datetime

from portal import keys
from portal.change import Change
from portal.identity.records import EmailOwner, EmailTaken, User, find_email_owner, folded
from portal.scope import EVERYTHING
from portal.table import Delete, Put, Update, Write
from portal.tenants.actions import find_tenant
from portal.tree import Node

FOR_TENANT = Change(of_tenant=True)
"""What `claimed` says of an address that is to be the tenant's own."""


def for_user(user_id: str) -> Change:
    """What `claimed` says of an address that is to be a user's."""
    return Change(user_id=user_id)


def owned(node: Node, email: str, use: Change, at: datetime) -> EmailOwner:
    """The record that makes an address the portal's."""
    return EmailOwner(*keys.email(folded(email)), path=str(node), created_at=at, **use)


def claimed(node: Node, email: str, use: Change, at: datetime) -> Write:
    """The write that takes an address for a use in a portal: a free one, or one that the portal has for the other use.

    Raises:
        EmailTaken: it is another portal's, or has this use already. Written, the same for who comes second.
    """
    owner = find_email_owner(email)
    if owner is None:
        return Put(owned(node, email, use, at), taken=EmailTaken)
    if owner.path != str(node) or any(getattr(owner, name) for name in use):
        raise EmailTaken
    return Update(owner, use)


def released(node: Node, users: Iterable[User], *, tenant_email: str = "") -> list[Write]:
    """What users of a portal let go of and, where its own address is given, the tenant itself.

    Records of earlier releases do not say what is the tenant's own: that is seen by the tenant.
    """
    left: dict[str, tuple[EmailOwner, Change]] = {}
    tenant = find_tenant(EVERYTHING, node)
    own = folded(tenant.email) if tenant else None
    for user in users:
        owner = find_email_owner(user.email)
        if owner is not None and (owner.path, owner.user_id) == (str(node), user.user_id):
            left[owner.pk] = owner, Change(user_id="", of_tenant=owner.of_tenant or folded(user.email) == own)
    owner = find_email_owner(tenant_email) if tenant_email else None
    if owner is not None and owner.path == str(node) and (owner.of_tenant or owner.pk in left):
        known, change = left.get(owner.pk, (owner, Change()))
        left[owner.pk] = known, change | Change(of_tenant=False)
    return [_without(owner, change) for owner, change in left.values()]


def _without(owner: EmailOwner, change: Change) -> Write:
    uses = change.get("user_id", owner.user_id), change.get("of_tenant", owner.of_tenant)
    return Update(owner, change) if any(uses) else Delete(owner)
