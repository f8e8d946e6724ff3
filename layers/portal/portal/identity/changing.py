"""Changing a user: everything that one request asks for, or nothing."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from portal.access import relisted
from portal.change import Change
from portal.identity import email_changes, managing, throttle, user_rules
from portal.identity.records import User
from portal.journal import Activity, Entry, Message
from portal.notifications.messages import mail
from portal.table import Update, Write

if TYPE_CHECKING:
    from portal.operation import Call


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to write and to send, and the list of accessible accounts that the user has then (None: all)."""

    accessible: Collection[str] | None
    writes: list[Write] = field(default_factory=list)
    audit: list[Entry] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


def decided(call: "Call", user: User, accessible: frozenset[str] | None, given: dict[str, Any]) -> UserChange:
    """What a request changes of a user with this list of accessible accounts. `given` is its body.

    Raises:
        Invalid, NotPermitted, Conflict: as the rules have it.
    """
    wanted: Collection[str] | None = accessible
    if "accessible_accounts" in given:
        wanted = managing.checked_list(call, given["accessible_accounts"])
    attributes = {
        name: value for name, value in given.items() if name not in ("email", "accessible_accounts")
    }
    change = user_rules.change(user, attributes)
    relists = (None if wanted is None else frozenset(wanted)) != accessible
    now, then = user_rules.holding(user, accessible), user_rules.after(user, change, wanted)
    user_rules.check_grant(managing.of_caller(call), then)
    if user.user_id == call.caller.user_id:
        user_rules.check_not_locked_out(user, change, now, then)
    user_rules.check_person(change, by_key=bool(call.caller.client_id))
    email = _email(call, user, given)
    # An address that is asked for now is the last word.
    change |= user_rules.without_pending(user, change, relists) | email.change
    if not change and not relists:
        return UserChange(accessible)
    staying = managing.administrator_stays(call, user) if user_rules.ends_administrator(user, change) else []
    activity = Activity.USER_MANAGEMENT
    if user_rules.about_permissions(change, relists):
        activity = Activity.PERMISSIONS_CHANGED
    entry = Entry(activity, user.node, user_rules.described(user, change, relists, wanted))
    # The user is written even if only the list changes: whoever decides about it at the same time decides anew.
    update = Update(user, change | Change(limited=wanted is not None))
    lists = relisted(user.node, user.user_id, wanted) if relists else []
    writes = [update, *lists, *email.writes, *staying]
    told = _two_factor_off(call, user) if "two_factor" in change else []
    return UserChange(wanted, writes, [entry], [*email.messages, *told])


def _two_factor_off(call: "Call", user: User) -> list[Message]:
    """The mail that tells a user, whose wrong codes are forgotten. The app is asked no more; its secret lies sealed, out of
    this function's reach, until another one takes its place.
    """
    throttle.clear_codes(user.user_id)
    parameters = {"name": user.name, "by": call.caller.email}
    return [mail(user.node, to=[user.email], template="two_factor_off", parameters=parameters)]


def _email(call: "Call", user: User, given: dict[str, Any]) -> email_changes.Requested:
    if "email" not in given:
        return email_changes.Requested()
    asked = email_changes.requested(user, given["email"], call.now)
    user_rules.check_person(asked.change, by_key=bool(call.caller.client_id))
    if asked.change.get("email") or asked.change.get("pending_email"):
        managing.count_mail(call, given["email"], user_id=user.user_id)
    return asked
