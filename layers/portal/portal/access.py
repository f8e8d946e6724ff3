"""Explicit lists of accessible partners and accounts, for users who do not see all.

A list can hold 20,000 ids, so it is stored in parts of its own beside the user and read only when a scope is needed.
"""

from collections.abc import Collection, Iterable

from portal import keys
from portal.change import Change
from portal.errors import Conflict
from portal.scope import Caller, Scope
from portal.table import Contended, Delete, Item, JsonAttribute, Put, Update, Write, query
from portal.tree import Node

_IDS_IN_A_PART = 5_000


class AccessList(Item, discriminator="access-list"):
    """Part of a user's list of accessible partners and accounts."""

    accessible_ids = JsonAttribute()


class ListChanged(Conflict, Contended):
    """Somebody has just made the list longer: read it and decide again."""


def accessible_to(caller: Caller) -> frozenset[str] | None:
    """The ids a caller may see, or None for all.

    Inside an entered partner's or account's portal the list of the level above has done its work: what it admitted is
    seen whole.
    """
    if caller.entered:
        return None
    scope = scope_at_home(caller.home, caller.user_id, limited=caller.limited)
    return None if scope.accessible is None else frozenset(scope.accessible)


def scope_at_home(home: Node, user_id: str, *, limited: bool) -> Scope:
    """What a user may see of the tree from the portal it belongs to, as its list stands now."""
    if not limited:
        return Scope(home)
    parts = query(AccessList, keys.node(home), keys.access_list(user_id))
    return Scope(home, frozenset(own_id for part in parts for own_id in part.accessible_ids))


def access_parts(home: Node, user_id: str, accessible_ids: Iterable[str]) -> list[AccessList]:
    """The records that store a list."""
    listed = sorted(set(accessible_ids))
    return [
        AccessList(
            keys.node(home),
            keys.access_list(user_id, number),
            accessible_ids=listed[first : first + _IDS_IN_A_PART],
        )
        for number, first in enumerate(range(0, len(listed), _IDS_IN_A_PART))
    ]


def relisted(home: Node, user_id: str, accessible_ids: Collection[str] | None) -> list[Write]:
    """What replaces a user's list by another one, or (None) takes it away; parts that stay the same are left alone."""
    stored = {part.sk: part for part in query(AccessList, keys.node(home), keys.access_list(user_id))}
    writes: list[Write] = []
    for part in access_parts(home, user_id, accessible_ids or ()):
        known = stored.pop(part.sk, None)
        if known is None:
            writes.append(Put(part, taken=ListChanged))
        elif known.accessible_ids != part.accessible_ids:
            writes.append(Update(known, Change(accessible_ids=part.accessible_ids)))
    return writes + [Delete(part) for part in stored.values()]


def admitted(caller: Caller, own_id: str) -> list[Write]:
    """What lets a caller see the partner or account that it creates: nothing, unless a list says what it sees."""
    if caller.entered or not caller.limited:
        return []
    parts = list(query(AccessList, keys.node(caller.home), keys.access_list(caller.user_id)))
    if parts and len(parts[-1].accessible_ids) < _IDS_IN_A_PART:
        return [Update(parts[-1], Change(accessible_ids=[*parts[-1].accessible_ids, own_id]))]
    part = keys.access_list(caller.user_id, len(parts))
    return [Put(AccessList(keys.node(caller.home), part, accessible_ids=[own_id]))]
