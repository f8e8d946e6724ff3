"""What the operations on a portal's users have in common: who decides, about whom, and what is written."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from portal import access, ids, keys
from portal.change import Change
from portal.errors import NotFound
from portal.identity import records, throttle, user_rules
from portal.identity.accessible import known
from portal.identity.records import User
from portal.identity.user_rules import Holding
from portal.partners.records import Partner
from portal.scope import Scope
from portal.table import Add, Check, Write
from portal.tenants.actions import find_tenant
from portal.tree import Tier

if TYPE_CHECKING:
    from portal.operation import Call

MAILS_TO_ONE_USER = 5, timedelta(hours=1)
"""How many links to confirm an address may be asked for, for one user, and within which time."""
MAILS_OF_ONE_PORTAL = 100, timedelta(hours=1)
"""Likewise by all of a portal, for whomever."""


def of_caller(call: "Call") -> Holding:
    """What the one who decides holds in the portal, by what its token says."""
    seen = call.scope.accessible
    return Holding(call.caller.permissions, None if seen is None else frozenset(seen))


def get_user(scope: Scope, user_id: str) -> tuple[User, frozenset[str] | None]:
    """A user of the scope's portal, with its list of accessible partners and accounts (None: all).

    Raises:
        NotFound
    """
    user = records.get_user(scope, scope.top, user_id)
    return user, accessible_to(user)


def accessible_to(user: User) -> frozenset[str] | None:
    accessible = access.scope_at_home(user.node, user.user_id, limited=bool(user.limited)).accessible
    return None if accessible is None else frozenset(accessible)


def get_for_change(call: "Call") -> tuple[User, frozenset[str] | None]:
    """The user of the path, with its list, for a caller who may change it.

    Raises:
        NotFound
        HoldsMore: it may do or see what the caller may not.
    """
    user, accessible = get_user(call.scope, call.path["user_id"])
    user_rules.check_may_touch(of_caller(call), user_rules.holding(user, accessible))
    return user, accessible


def checked_list(call: "Call", given: str | Sequence[str]) -> Collection[str] | None:
    """What a request says of accessible accounts: None for all.

    Raises:
        Invalid: there is nothing to list in this portal, or something on the list cannot be found.
    """
    listed = None if isinstance(given, str) else sorted(set(given))
    user_rules.check_list(call.caller.portal.tier, listed)
    if listed:
        user_rules.check_known(listed, known(call.scope, listed))
    return listed


def new_user(call: "Call", given: dict[str, Any]) -> tuple[User, Collection[str] | None]:
    """An invited user of the portal, with its list of accessible accounts (None: all). `given` is the request's body.

    Raises:
        Invalid: its role, permissions and list do not go together, or not with the portal.
        PeopleOnly: an API key would make an administrator.
        NotYoursToGive: it would hold more than the caller.
    """
    user_rules.check_role(call.caller.portal.tier, given["role"], given["permissions"])
    user_rules.check_person(Change(role=given["role"]), by_key=bool(call.caller.client_id))
    accessible = checked_list(call, given.pop("accessible_accounts"))
    user_id = ids.new("usr", call.now)
    user = User(
        keys.node(call.caller.portal),
        keys.user(user_id),
        user_id=user_id,
        limited=accessible is not None,
        state="invited",
        created_at=call.now,
        **given | {"permissions": sorted(set(given["permissions"]))},
    )
    user_rules.check_grant(of_caller(call), user_rules.holding(user, accessible))
    return user, accessible


def count_mail(call: "Call", email: str, *, user_id: str = "") -> None:
    """Count one more mail to an address that nobody has confirmed: the words in it are the caller's, and whoever reads it
    may have asked for nothing. The mail worker counts as well what other domains have mailed there.

    Args:
        user_id: who has it, if that is nobody new.

    Raises:
        TooManyAttempts: for this user, to this address, or by this portal.
    """
    if user_id:
        throttle.attempt("invitation", user_id, *MAILS_TO_ONE_USER, call.now)
    throttle.attempt("link asked for", records.folded(email), *throttle.LINKS_TO_ONE_ADDRESS, call.now)
    throttle.attempt("links of", str(call.caller.portal), *MAILS_OF_ONE_PORTAL, call.now)


def portal_stays(call: "Call") -> list[Write]:
    """What fails the transaction if the portal is removed meanwhile, and has its removal, if it comes second, find who was
    added. Vendor and distributors stay.

    Raises:
        NotFound: it is being removed, or gone: who is calling was let in before.
    """
    portal = call.caller.portal
    if portal.tier not in (Tier.PARTNER, Tier.ACCOUNT):
        return []
    tenant = find_tenant(call.scope, portal)
    if tenant is None:
        raise NotFound
    if isinstance(tenant, Partner):
        # Whoever removes it is outrun; whoever adds an account at the same time is not.
        return [Add(tenant, "account_count", 0)]
    # An account's users are looked for once more long after this.
    return [Check(tenant)]


def administrator_stays(call: "Call", user: User) -> list[Check]:
    """What fails the transaction if it would leave the portal without an administrator.

    Raises:
        LastAdministrator
    """
    users = records.list_users(call.scope, user.node)
    remaining = user_rules.remaining_administrator(user, users, call.caller.user_id)
    return [Check(remaining)] if remaining else []
