"""What may become of a portal's users, and who may decide it.

Nobody gives what they do not hold, nobody touches somebody who holds more than they do, nobody locks themselves out,
and one active administrator is always left.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portal.change import Change
from portal.errors import Conflict, FieldError, Invalid, NotPermitted, PeopleOnly
from portal.identity.rules import permissions_at_home
from portal.permissions import HELD_ON, Permission
from portal.tree import Tier

if TYPE_CHECKING:
    from portal.identity.records import User

MOST_ACCESSIBLE = 20_000
"""Ids in a list of accessible partners and accounts."""
_MOST_NAMED = 50
"""Unknown ids that an answer names."""

_LISTING = (Tier.DISTRIBUTOR, Tier.PARTNER)
"""Tiers whose portals have something below them that a user may see in part."""
_SHOWING = frozenset({Permission.DASHBOARD_VIEW, Permission.ACCOUNTS_ADD})
"""What lets a user get to an account at all."""


class HoldsMore(NotPermitted):
    detail = "This user may do or see more than you, so only others can change it."


class NotYoursToGive(NotPermitted):
    detail = "You cannot let others do or see more than you may yourself."


class LastAdministrator(Conflict):
    detail = "This is the last administrator. Make somebody else one first."


class LocksYouOut(Conflict):
    detail = "This would lock you out, or let you see less. Ask another administrator."


class OwnTwoFactor(Conflict):
    detail = "Turn off your own two-factor authentication with a proof that it is you, at /v1/me/totp."


class NotConfirmed(Conflict):
    detail = "This user has not confirmed the e-mail address yet. Remove the user instead."


class AlreadyConfirmed(Conflict):
    detail = "This user has confirmed the e-mail address already."


@dataclass(frozen=True, slots=True)
class Holding:
    """What somebody may do in a portal, and which of the partners and accounts below it they see (None: all)."""

    permissions: frozenset[Permission]
    accessible: frozenset[str] | None = None

    def covers(self, other: "Holding") -> bool:
        """Whether the other may not do and see anything besides."""
        if not other.permissions <= self.permissions:
            return False
        return self.accessible is None or (
            other.accessible is not None and other.accessible <= self.accessible
        )


def holding(user: "User", accessible: Collection[str] | None) -> Holding:
    """What a user holds in its own portal, with its list of accessible partners and accounts, if it has one."""
    return Holding(
        permissions_at_home(user, user.node), None if accessible is None else frozenset(accessible)
    )


# Roles, permissions, lists


def check_role(tier: Tier, role: str, permissions: Collection[Permission]) -> None:
    """Whether a user of a portal of this tier can have this role with these permissions.

    Raises:
        Invalid: an administrator has all permissions; a tier does not have some; account permissions are of no use
            to who gets to no account.
    """
    if role == "administrator" and permissions:
        raise _wrong(
            "permissions", "An administrator has every permission; name permissions of a custom role."
        )
    if beyond := sorted(set(permissions) - HELD_ON[tier]):
        raise _wrong("permissions", f"Nobody in this portal can hold {', '.join(beyond)}.")
    # An account's own users are inside already.
    inside = [each for each in permissions if each.startswith("account.")]
    if inside and _SHOWING & HELD_ON[tier] and not _SHOWING & set(permissions):
        raise _wrong("permissions", "Account permissions go only with dashboard.view or accounts.add.")


def check_list(tier: Tier, accessible: Collection[str] | None) -> None:
    """Raises Invalid for a list where there is nothing below a portal to be listed."""
    if accessible is not None and tier not in _LISTING:
        raise _wrong("accessible_accounts", "Users of this portal have no list of accounts: say all.")


def check_known(listed: Collection[str], known: Collection[str]) -> None:
    """Whether all that a list names is there for who wrote it.

    Raises:
        Invalid: naming up to 50 that are not.
    """
    unknown = sorted(set(listed) - set(known))
    if unknown:
        raise Invalid(
            f"{len(unknown)} of the accessible accounts cannot be found.",
            errors=tuple(
                FieldError("accessible_accounts", f"There is no {each} here.")
                for each in unknown[:_MOST_NAMED]
            ),
        )


# Who decides


def check_grant(by: Holding, given: Holding) -> None:
    """Raises NotYoursToGive unless whoever decides holds all of it."""
    if not by.covers(given):
        raise NotYoursToGive


def check_may_touch(by: Holding, target: Holding) -> None:
    """Raises HoldsMore for a user who may do or see what the one who decides may not."""
    if not by.covers(target):
        raise HoldsMore


# Changes


def change(user: "User", given: Mapping[str, Any]) -> Change:
    """The attributes that get another value. `given` holds new ones by attribute name.

    Whoever is disabled, or signs in another way from now on, is signed out for good; the tokens of API keys are over with
    the first. With the second, the password or identity until now is void, also if the former way comes back.

    Raises:
        Invalid: a custom role without its permissions, or permissions that do not go with the role.
        NotConfirmed: the state of somebody who has not confirmed yet cannot be changed.
    """
    role = given.get("role", user.role)
    values = dict(given)
    if role != user.role and role == "custom" and "permissions" not in given:
        raise _wrong("permissions", "Name the permissions of the custom role.")
    if role != user.role or "permissions" in given:
        values["permissions"] = sorted(set(given.get("permissions", ())))
        check_role(user.node.tier, role, [Permission(each) for each in values["permissions"]])
    if user.state == "invited" and given.get("state", "invited") != "invited":
        raise NotConfirmed
    changed = {name: value for name, value in values.items() if getattr(user, name) != value}
    if changed.get("state") == "disabled" or "sign_in_type" in changed:
        changed["session_epoch"] = int(user.session_epoch) + 1
        # Whatever was mailed to set a password is void as well.
        changed["reset_hash"] = None
    if "sign_in_type" in changed:
        changed["credentials_epoch"] = int(user.credentials_epoch) + 1
    if changed.get("state") == "disabled":
        changed["client_epoch"] = int(user.client_epoch) + 1
    return Change(**changed)


def without_pending(user: "User", changed: Change, relisted: bool) -> Change:
    """That an address which was asked for and not confirmed is void, when somebody decides who the user is anew: it may be
    a stranger's, who asked for it before.
    """
    anew = {"state", "sign_in_type", "role", "permissions"} & set(changed)
    if not user.pending_email or not (anew or relisted):
        return Change()
    return Change(pending_email=None, link_hash=None)


def check_person(changed: Change, *, by_key: bool) -> None:
    """Whether an API key may make this change: not of how people sign in, and nobody an administrator.

    Raises:
        PeopleOnly
    """
    signing_in = {"email", "pending_email", "sign_in_type", "two_factor"} & set(changed)
    if by_key and (signing_in or changed.get("role") == "administrator"):
        raise PeopleOnly


def after(user: "User", changed: Change, accessible: Collection[str] | None) -> Holding:
    """What the user will hold."""
    if changed.get("role", user.role) == "administrator":
        held = HELD_ON[user.node.tier]
    else:
        held = HELD_ON[user.node.tier] & {
            Permission(each) for each in changed.get("permissions", user.permissions)
        }
    return Holding(held, None if accessible is None else frozenset(accessible))


def check_not_locked_out(user: "User", changed: Change, now: Holding, then: Holding) -> None:
    """Whether users may make this change to themselves.

    Raises:
        LocksYouOut: they would be disabled, no administrator or no manager of users any more, or see less.
        OwnTwoFactor: they would sign in without a second factor, unproved.
    """
    if "two_factor" in changed:
        raise OwnTwoFactor
    demoted = user.role == "administrator" and changed.get("role", user.role) != "administrator"
    disabled = changed.get("state", user.state) != user.state
    managing = Permission.USERS_MANAGE in then.permissions
    seen = Holding(frozenset(), then.accessible).covers(Holding(frozenset(), now.accessible))
    signing_in_otherwise = "sign_in_type" in changed
    if demoted or disabled or signing_in_otherwise or not managing or not seen:
        raise LocksYouOut


def remaining_administrator(user: "User", users: Iterable["User"], prefer: str) -> "User | None":
    """Another administrator, who has to stay one when this user goes; None if this one does not count.

    Of several, the one with the id `prefer`. While nobody has confirmed yet, an invited one has to stay.

    Raises:
        LastAdministrator: there is no other.
    """
    if user.role != "administrator" or user.state == "disabled":
        return None
    enough = ("active",) if user.state == "active" else ("active", "invited")
    others = [
        each
        for each in users
        if each.user_id != user.user_id and each.role == "administrator" and each.state in enough
    ]
    if not others:
        raise LastAdministrator
    return next((each for each in others if each.user_id == prefer), others[0])


def ends_administrator(user: "User", changed: Change) -> bool:
    """Whether a change leaves the portal with one administrator less."""
    return user.role == "administrator" and (
        changed.get("role", user.role) != "administrator" or changed.get("state", user.state) == "disabled"
    )


def confirmation_again(user: "User") -> Change:
    """Another invitation is on its way: the links mailed before are void already.

    Raises:
        AlreadyConfirmed
    """
    if user.state != "invited":
        raise AlreadyConfirmed
    return Change(link_hash=None)


# Telling


_LABELS = {
    "name": "name",
    "email": "e-mail address",
    "pending_email": "e-mail address, once it is confirmed,",
    "sign_in_type": "sign-in type",
    "role": "role",
    "permissions": "permissions",
    "state": "state",
    "two_factor": "two-factor authentication",
}


def described(user: "User", changed: Change, relisted: bool, accessible: Collection[str] | None) -> str:
    """How the audit trail tells of a change that is not made yet."""
    said = [f"{_LABELS[name]} to {_said(value)}" for name, value in changed.items() if name in _LABELS]
    if relisted:
        said.append(
            f"accessible accounts to {'all' if accessible is None else f'a list of {len(accessible)}'}"
        )
    return f"Changed user {user.email}: {', '.join(said)}"


def described_new(user: "User", accessible: Collection[str] | None) -> str:
    """How the audit trail tells of a new user."""
    may = "administrator" if user.role == "administrator" else f"custom: {_said(user.permissions)}"
    seen = "" if accessible is None else f", who sees a list of {len(accessible)} accessible accounts"
    return f"Created user {user.email} ({may}){seen}"


def about_permissions(changed: Change, relisted: bool) -> bool:
    """Whether a change is one of what the user may do or see."""
    return relisted or bool({"role", "permissions"} & set(changed))


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return (", ".join(value) if isinstance(value, list) else str(value or "")) or "nothing"


def _wrong(field: str, message: str) -> Invalid:
    return Invalid(errors=(FieldError(field, message),))
