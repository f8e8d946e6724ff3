"""Subscriptions as answers show them."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from portal.accounts.rules import AccountStatus, account_status
from portal.subscriptions.rules import DefaultSubscription, Plan
from portal.subscriptions.spans import plan_of, renewal_on, upcoming

if TYPE_CHECKING:
    from portal.accounts.records import Account
    from portal.subscriptions.records import Chosen

Outcome = Literal["subscribed", "already_subscribed", "removal_pending", "not_found", "not_reached"]


class ChosenDefault(BaseModel):
    """How new accounts of the portal begin."""

    mode: Literal["trial_with_expiration", "trial_with_auto_subscription", "subscription_without_trial"]
    plan: Plan | None
    inherited: bool = Field(description="Whether it comes from above, because the portal has not chosen.")


class PlanChange(BaseModel):
    """A change of plan on a day to come."""

    plan: Plan
    effective_on: date = Field(description="The first day on that plan.")


class Subscription(BaseModel):
    """An account's trial or subscription."""

    account_id: str
    account_status: AccountStatus
    plan: Plan | None
    default_subscription: DefaultSubscription = Field(description="What the account was created under.")
    trial_ends_at: datetime | None
    subscribed_on: date | None = Field(description="The first day that is billed.")
    ended_on: date | None = Field(description="The first day that is not billed any more.")
    renewal_date: date | None
    upcoming_change: PlanChange | None = Field(description="To the other plan; null while none is agreed.")


class SubscribeResult(BaseModel):
    """What became of one account."""

    account_id: str
    result: Outcome


class SubscribeResults(BaseModel):
    """What became of each account, and how many of each."""

    items: list[SubscribeResult]
    totals: dict[Outcome, int]


def chosen_default(chosen: "Chosen") -> ChosenDefault:
    return ChosenDefault(mode=chosen.default.mode, plan=chosen.default.plan, inherited=chosen.inherited)


def subscription(account: "Account", now: datetime) -> Subscription:
    status = account_status(account, now)
    return Subscription(
        account_id=account.account_id,
        account_status=status,
        plan=plan_of(account, now),
        default_subscription=DefaultSubscription.model_validate(account.subscription_default),
        trial_ends_at=account.trial_ends_at,
        subscribed_on=account.subscribed_on,
        ended_on=account.ended_on,
        renewal_date=renewal_on(account, now),
        upcoming_change=plan_change(account, now),
    )


def plan_change(account: "Account", now: datetime) -> PlanChange | None:
    """The one that is agreed for a day to come."""
    following = upcoming(account, now)
    return PlanChange(plan=following.plan, effective_on=following.start) if following else None


def subscribe_results(outcomes: Mapping[str, Outcome]) -> SubscribeResults:
    """By account id, in the order asked for."""
    return SubscribeResults(
        items=[
            SubscribeResult(account_id=account_id, result=result) for account_id, result in outcomes.items()
        ],
        totals=dict(Counter(outcomes.values())),
    )
