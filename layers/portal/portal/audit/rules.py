"""Where entries are looked for, and who may see which."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from portal import keys
from portal.activities import Activity, Outcome
from portal.errors import TooManyRequests
from portal.scope import Scope
from portal.streamed_files import rules as files
from portal.tree import Node, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from portal.audit.filters import AuditFilters
    from portal.audit.records import AuditExport
    from portal.journal import AuditEntry

MOST_EXAMINED = 2_000
"""Entries that one request reads, whether they pass the filters or not."""

_WITH_MONEY = frozenset({Activity.BILLING_DETAILS_UPDATED})


class TooManyExports(TooManyRequests):
    detail = f"{files.MOST_UNFINISHED} of your exports are still being written; wait for one of them."


@dataclass(frozen=True, slots=True)
class Route:
    """Where to look: partitions in which entries stand by time, and the filters that all in them pass."""

    index: str
    """Empty: the table itself."""
    pks: tuple[str, ...]
    passed: frozenset[str] = frozenset()


def route(top: Node, filters: "AuditFilters") -> Route:
    """What holds every wanted entry of the portal `top`, and the fewest others.

    An e-mail address chooses fewer entries than an activity does, and failures are rare whatever it was that
    failed. Partners and accounts read their own partition: an index partition of theirs would have to begin with
    their own path, and each index has room for one.
    """
    if top.tier in (Tier.PARTNER, Tier.ACCOUNT):
        return Route("", (keys.node(top),))
    if filters.account:
        pk = keys.audit_by_account(top, keys.folded(filters.account))
        return Route("audit_by_account", (pk,), frozenset({"account"}))
    if filters.user:
        pk = keys.audit_by_user(top, keys.folded(filters.user))
        return Route("audit_by_user", (pk,), frozenset({"user"}))
    if filters.activity or filters.status == "failed":
        outcomes = [filters.status] if filters.status else get_args(Outcome)
        pks = (
            keys.audit_by_activity(top, activity, outcome)
            for activity in sorted(set(filters.activity or Activity))
            for outcome in outcomes
        )
        return Route("audit_by_activity", tuple(pks), frozenset({"activity", "status"}))
    if top.tier is Tier.VENDOR:
        return Route("", (keys.node(top),))
    return Route("by_distributor", (keys.by_distributor(top, "AUDIT")[0],))


def finds_only_wanted(scope: Scope, filters: "AuditFilters") -> bool:
    """Whether nothing is read in vain, because all that stands there is wanted and may be seen."""
    given = {name for name in ("account", "user", "activity", "status") if getattr(filters, name)}
    return scope.accessible is None and given <= route(scope.top, filters).passed


def is_wanted(entry: "AuditEntry", filters: "AuditFilters") -> bool:
    """Whether an entry of the right time passes all filters."""
    if filters.activity and entry.activity not in filters.activity:
        return False
    if filters.status and entry.status != filters.status:
        return False
    if filters.account and keys.folded(entry.account or "") != keys.folded(filters.account):
        return False
    return not filters.user or keys.folded(entry.performed_by) == keys.folded(filters.user)


def may_see(scope: Scope, entry: "AuditEntry") -> bool:
    """Whether an entry is shown to somebody with this scope.

    Money is nobody's business below a distributor. Whoever sees a list of partners and accounts sees what was
    done in their portals and about them, and what was about none; of money only what was about one account on the
    list, because a consolidated bill is not shown to them either.
    """
    if entry.activity in _WITH_MONEY and scope.top.tier in (Tier.PARTNER, Tier.ACCOUNT):
        return False
    if scope.accessible is None:
        return True
    if entry.about is None and entry.activity in _WITH_MONEY:
        return False
    if entry.about is None:
        return scope.covers(entry.node) and not entry.account
    return scope.covers(entry.node) and scope.covers(Node.parse(entry.about))


def admit(exports: "Iterable[AuditExport]", now: "datetime") -> None:
    """Let one more export of the same user in.

    Raises:
        TooManyExports: as many as one user may wait for are unfinished.
    """
    if not files.has_room(exports, now):
        raise TooManyExports
