"""What an account is at a moment, and what may be done to it."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from portal.change import Change
from portal.errors import Conflict
from portal.subscriptions.rules import EXPIRING, RemovalPending, ended_trial
from portal.subscriptions.spans import plan_of

if TYPE_CHECKING:
    from portal.accounts.records import Account

AccountStatus = Literal[
    "trial_started",
    "trial_expiring",
    "trial_expired",
    "monthly_subscribed",
    "annual_subscribed",
    "removal_pending",
]
BackupStatus = Literal["no_backups", "successful", "partially_failed", "failed"]

PURGE_ASKED_EVERY = timedelta(days=1)
"""How long the engine may take to confirm a purge before it is told again."""


class DataCenterInUse(Conflict):
    detail = "The data center cannot change once the account has backup tasks or data."


class NotBeingRemoved(Conflict):
    detail = "This account is not being removed."


class StillSubscribed(Conflict):
    detail = "This account can still be billed."


def account_status(account: "Account", now: datetime) -> AccountStatus:
    """What lists show; exact to the second, whatever the trial job has done so far."""
    over = ended_trial(account, now)
    state = over["state"] if over else account.state
    if state == "subscribed":
        return "annual_subscribed" if plan_of(account, now) == "annual" else "monthly_subscribed"
    if state == "expired":
        return "trial_expired"
    if state != "trial" or account.trial_ends_at is None:
        return "removal_pending"
    return "trial_started" if account.trial_ends_at - now > EXPIRING else "trial_expiring"


def change(account: "Account", *, name: str | None, data_center: str | None) -> Change:
    """New values of what may be changed of an account. None leaves alone; what stays the same is left out.

    Raises:
        RemovalPending: nothing of it changes any more.
        DataCenterInUse: the backed-up data would have to move.
    """
    if account.state == "removal_pending":
        raise RemovalPending
    values = {}
    if name is not None and name != account.name:
        values["name"] = name
    if data_center is not None and data_center != account.data_center:
        if account.task_count or account.size_bytes:
            raise DataCenterInUse
        values["data_center"] = data_center
    return Change(**values)


def check_open(account: "Account") -> None:
    """Whether the account's portal can be entered.

    Raises:
        RemovalPending: there is nothing left to do in it.
    """
    if account.state == "removal_pending":
        raise RemovalPending


def remove(account: "Account", now: datetime) -> Change:
    """End the account: today is the first day that is not billed, and the engine is asked to purge.

    A trial that is over ends first as what it has become; an automatic subscription is billed until today.

    Raises:
        RemovalPending: it is ending already.
    """
    if account.state in ("removal_pending", "removed"):
        raise RemovalPending
    over = ended_trial(account, now) or Change()
    change = over | Change(
        state="removal_pending",
        removed_at=now,
        trial_stage=None,
        lifecycle="purge",
        lifecycle_at=now + PURGE_ASKED_EVERY,
    )
    if over.get("subscribed_on") or account.subscribed_on:
        change |= Change(ended_on=now.astimezone(UTC).date())
    return change


def data_purged(account: "Account", at: datetime) -> Change:
    """The engine has confirmed that the backed-up data is gone: the purge job may delete the rest.

    Empty when repeated.

    Raises:
        NotBeingRemoved: nobody has asked for it; nothing is deleted.
    """
    if account.state not in ("removal_pending", "removed"):
        raise NotBeingRemoved
    if account.purged_at is not None:
        return Change()
    return Change(purged_at=at, lifecycle="purge", lifecycle_at=at)


def purge_asked_again(now: datetime) -> Change:
    """The engine has not confirmed yet: it is told again, and looked at a day later."""
    return Change(lifecycle_at=now + PURGE_ASKED_EVERY)


def purged(account: "Account") -> Change:
    """Every item and file is deleted; what is left waits for the last bill, if there will be one."""
    change = Change(
        state="removed", size_bytes=0, task_count=0, backup_status="no_backups", archive_location=None
    )
    return change if is_done_with(account) else change | Change(lifecycle=None, lifecycle_at=None)


def is_done_with(account: "Account") -> bool:
    """Whether no bill will concern the account any more: the last was issued, or it never subscribed."""
    return account.subscribed_on is None or account.finally_billed_at is not None


def finally_billed(account: "Account", now: datetime) -> Change:
    """The last bill of a removed account was issued, or there is none: it need not be kept any longer.

    Empty when repeated.

    Raises:
        StillSubscribed: it has not been removed.
    """
    if account.state not in ("removal_pending", "removed"):
        raise StillSubscribed
    if account.finally_billed_at is not None:
        return Change()
    if account.state == "removed":
        return Change(finally_billed_at=now, lifecycle="purge", lifecycle_at=now)
    return Change(finally_billed_at=now)
