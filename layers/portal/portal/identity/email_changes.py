"""Another e-mail address, for a user or for a tenant itself: it counts once it is confirmed where it was mailed.

Until then nothing is reserved. Whoever comes first has it; a confirmation that comes second changes nothing.
"""

from dataclasses import dataclass, field
from datetime import datetime

from portal.change import Change
from portal.identity import addresses, rules
from portal.identity.actions import NewLink, invitation_mail, new_link
from portal.identity.records import Link, User, find_link, folded
from portal.identity.tokens import hashed
from portal.journal import Activity, Entry, Message
from portal.notifications.messages import LinkWanted, mail
from portal.scope import EVERYTHING, Caller
from portal.table import Delete, Put, Update, Write
from portal.tenants.actions import find_tenant
from portal.tenants.records import Tenant
from portal.tree import Node


@dataclass(frozen=True, slots=True)
class Requested:
    """What asking for another address changes of the user or tenant, and what goes with it."""

    change: Change = field(default_factory=Change)
    writes: list[Write] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EmailChange:
    """What to write and to send when a new address was confirmed, and who is on record as having done it."""

    writes: list[Write]
    audit: list[Entry]
    messages: list[Message]
    by: Caller


# Users


def requested(user: User, email: str, at: datetime) -> Requested:
    """Another address for a user. Its present one takes back what was asked for before.

    Nobody signs in with an address that is not confirmed, so that of an invited user is replaced at once: it is invited
    anew, and the earlier invitation is void.

    Raises:
        EmailTaken: somebody else has it.
    """
    if email == user.email:
        return Requested(Change(pending_email=None, link_hash=None)) if user.pending_email else Requested()
    use = addresses.for_user(user.user_id)
    moved = _moved(user.node, user.email, email, use, [user], at)
    if user.state == "invited":
        return Requested(Change(email=email, link_hash=None), moved, [invitation_mail(user, to=email)])
    link = LinkWanted(user_id=user.user_id, purpose="email", email=email)
    return Requested(
        # The link that goes out voids earlier ones; until it does, they are void already.
        Change(pending_email=email, link_hash=None),
        messages=[_asks(user.node, user.name, link), _tells(user.node, user.email, email, confirmed=False)],
    )


def confirmed(link: Link, user: User, now: datetime) -> EmailChange:
    """A user has followed the link that was mailed to the new address.

    Raises:
        InvalidLink: it is over, was used, or another address was asked for since.
        EmailTaken: somebody else has the address by now.
    """
    if link.purpose != "email" or not rules.is_good(link, user, now):
        raise rules.InvalidLink
    node, old, new = user.node, user.email, link.email
    moved = _moved(node, old, new, addresses.for_user(user.user_id), [user], now)
    # What was mailed to the old address, to set a password for example, is void.
    change = Change(email=new, pending_email=None, link_hash=None, reset_hash=None)
    entry = Entry(Activity.USER_MANAGEMENT, node, f"Changed e-mail address {old} to {new}")
    by = Caller(kind="user", user_id=user.user_id, email=new, name=user.name, home=node, portal=node)
    return EmailChange(
        [Update(user, change), *moved, Delete(link)], [entry], [_tells(node, old, new, confirmed=True)], by
    )


# Tenants


def tenant_requested(tenant: Tenant, email: str, at: datetime) -> Requested:
    """Another address for a distributor, partner or account; none asks for nothing, and the present one takes back what
    was asked for before.

    Raises:
        EmailTaken: it belongs to another portal.
    """
    if not email:
        return Requested()
    if email == tenant.email:
        return Requested(Change(pending_email=None, link_hash=None)) if tenant.pending_email else Requested()
    _moved(tenant.node, tenant.email, email, addresses.FOR_TENANT, [], at)
    link = LinkWanted(user_id="", purpose="tenant_email", email=email)
    return Requested(
        Change(pending_email=email, link_hash=None),
        messages=[
            _asks(tenant.node, tenant.name, link),
            _tells(tenant.node, tenant.email, email, confirmed=False),
        ],
    )


def tenant_link(node: Node, email: str, at: datetime) -> NewLink | None:
    """A link that confirms a tenant's new address; None when that is not what it is to have any more."""
    tenant = find_tenant(EVERYTHING, node)
    if tenant is None or tenant.pending_email is None or folded(tenant.pending_email) != folded(email):
        return None
    link, address = new_link(node, "", "tenant_email", email, at)
    return NewLink(address, [Put(link), Update(tenant, Change(link_hash=link.link_hash))])


def tenant_confirmed(token: str, now: datetime) -> EmailChange | None:
    """Somebody has followed the link that was mailed to a tenant's new address; None if this is no token of such a link.

    Raises:
        InvalidLink: it is over, or another address was asked for since.
        EmailTaken: it belongs to another portal by now.
    """
    link = find_link(hashed(token))
    if link is None or link.purpose != "tenant_email":
        return None
    node, new = Node.parse(link.user_path), link.email
    tenant = find_tenant(EVERYTHING, node)
    if tenant is None or tenant.link_hash != link.link_hash or now >= link.ends_at:
        raise rules.InvalidLink
    old = tenant.email
    moved = _moved(node, old, new, addresses.FOR_TENANT, [], now)
    change = Change(email=new, pending_email=None, link_hash=None)
    said = f"Changed the account's e-mail address {old} to {new}"
    entry = Entry(Activity.SETTINGS_CHANGED, node, said, new, node)
    by = Caller(kind="user", email=new, home=node, portal=node)
    return EmailChange(
        [Update(tenant, change), *moved, Delete(link)], [entry], [_tells(node, old, new, confirmed=True)], by
    )


# Both


def _moved(node: Node, old: str, new: str, use: Change, users: list[User], at: datetime) -> list[Write]:
    """The writes that take the new address and let the old one go. In other capitals it is the same one."""
    if folded(old) == folded(new):
        return []
    claimed = addresses.claimed(node, new, use, at)
    return [*addresses.released(node, users, tenant_email="" if users else old), claimed]


def _asks(node: Node, name: str, link: LinkWanted) -> Message:
    """The mail to the new address, with the link that confirms it."""
    return mail(node, to=[link.email], template="email_confirmation", parameters={"name": name}, link=link)


def _tells(node: Node, old: str, new: str, *, confirmed: bool) -> Message:
    """The mail to the old address, so that nobody loses theirs without knowing."""
    parameters = {"old": old, "new": new, "confirmed": confirmed}
    return mail(node, to=[old], template="email_changed", parameters=parameters)
