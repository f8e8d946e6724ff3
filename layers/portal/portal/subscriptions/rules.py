"""Trials and subscriptions: how an account begins, and how a trial ends: once.

A trial lasts 14 days to the second. What it ends as is decided by time alone, so that whoever comes first
after its end (the job, someone who subscribes or removes the account) finds the same outcome.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, model_validator

from portal.change import Change
from portal.errors import Conflict

if TYPE_CHECKING:
    from portal.accounts.records import Account

TRIAL = timedelta(days=14)
EXPIRING = timedelta(days=3)
"""A trial with no more than this left is expiring."""
KEPT_AFTER_TRIAL = timedelta(days=30)
FIRST_WARNING = timedelta(days=7)
SECOND_WARNING = timedelta(days=1)
"""How long before its data is deleted the customer is warned, at the least."""

Plan = Literal["monthly", "annual"]


class AlreadySubscribed(Conflict):
    detail = "This account is subscribed already."


class RemovalPending(Conflict):
    detail = "This account is being removed."


class DefaultSubscription(BaseModel, extra="forbid", frozen=True):
    """How new accounts begin. `plan` is what a trial turns into, or what they are subscribed to at once."""

    mode: Literal["trial_with_expiration", "trial_with_auto_subscription", "subscription_without_trial"]
    plan: Plan | None = None

    @model_validator(mode="after")
    def _plan_where_there_is_one(self) -> Self:
        if (self.plan is None) != (self.mode == "trial_with_expiration"):
            raise ValueError("trial_with_expiration has no plan; the other modes need one.")
        return self


UNLESS_CHOSEN = DefaultSubscription(mode="trial_with_expiration", plan=None)
"""What holds where neither the partner nor its distributor has chosen."""


def begin(default: DefaultSubscription, now: datetime) -> Change:
    """The attributes a new account begins with."""
    stored = default.model_dump(mode="json")
    if default.mode == "subscription_without_trial" and default.plan:
        return Change(
            subscription_default=stored, state="subscribed", plan=default.plan, subscribed_on=_day(now)
        )
    ends_at = now + TRIAL
    return Change(
        subscription_default=stored,
        state="trial",
        trial_ends_at=ends_at,
        trial_stage="started",
        lifecycle="trial",
        lifecycle_at=ends_at - EXPIRING,
    )


def ended_trial(account: "Account", now: datetime) -> Change | None:
    """What a trial has become, from the instant of its end on; None while it runs or where there is none."""
    if account.state != "trial" or account.trial_ends_at is None or now < account.trial_ends_at:
        return None
    plan = DefaultSubscription.model_validate(account.subscription_default).plan
    if plan:
        return _subscribed(plan, _day(account.trial_ends_at))
    purge_at = account.trial_ends_at + KEPT_AFTER_TRIAL
    return Change(
        state="expired", trial_stage="expired", lifecycle="trial", lifecycle_at=purge_at - FIRST_WARNING
    )


def subscribe(account: "Account", plan: Plan, now: datetime) -> Change:
    """Subscribe an account that never was: on trial, or with an expired one whose data is still there.

    Raises:
        AlreadySubscribed: it is, or its trial has ended by subscribing itself.
        RemovalPending: too late.
    """
    over = ended_trial(account, now)
    state = over["state"] if over else account.state
    if state == "subscribed":
        raise AlreadySubscribed
    if state not in ("trial", "expired"):
        raise RemovalPending
    return _subscribed(plan, _day(now))


def about_to_expire(account: "Account", now: datetime) -> Change | None:
    """The step to `expiring`, when three days or less are left."""
    ends_at = account.trial_ends_at
    if (
        account.state != "trial"
        or account.trial_stage != "started"
        or ends_at is None
        or not ends_at - EXPIRING <= now < ends_at
    ):
        return None
    return Change(trial_stage="expiring", lifecycle_at=ends_at)


def next_warning(account: "Account", now: datetime) -> Change | None:
    """The warning that is due before an expired trial's data is deleted.

    A late warning moves what follows: nothing is deleted less than 7 days after the first and a day after the
    second.
    """
    if account.state != "expired" or account.trial_ends_at is None or not _due(account, now):
        return None
    purge_at = account.trial_ends_at + KEPT_AFTER_TRIAL
    if account.trial_stage == "expired":
        second_at = max(purge_at - SECOND_WARNING, now + FIRST_WARNING - SECOND_WARNING)
        return Change(trial_stage="warned_once", lifecycle_at=second_at)
    if account.trial_stage == "warned_once":
        return Change(trial_stage="warned_twice", lifecycle_at=max(purge_at, now + SECOND_WARNING))
    return None


def is_to_be_removed(account: "Account", now: datetime) -> bool:
    """Whether an expired trial was kept for its 30 days and its customer warned twice."""
    return account.state == "expired" and account.trial_stage == "warned_twice" and _due(account, now)


def deleted_at(warning: Change) -> datetime:
    """When the data of an expired trial will be deleted, once this warning was given."""
    at: datetime = warning["lifecycle_at"]
    return at if warning["trial_stage"] == "warned_twice" else at + SECOND_WARNING


def invoiced_at(term_start_on: date) -> datetime:
    """When an annual term's invoice is due: midnight of its first day."""
    return datetime.combine(term_start_on, time(), UTC)


def _subscribed(plan: Plan, on: date) -> Change:
    return Change(
        state="subscribed", plan=plan, subscribed_on=on, trial_stage=None, lifecycle=None, lifecycle_at=None
    )


def _due(account: "Account", now: datetime) -> bool:
    return account.lifecycle_at is not None and account.lifecycle_at <= now


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()
