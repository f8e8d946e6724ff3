"""An account's plan as operators see it, with what a change of it costs."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from portal.accounts.rules import AccountStatus, account_status
from portal.billing.views import LineView, line_view
from portal.money_view import MoneyView, money
from portal.subscriptions.rules import Plan
from portal.subscriptions.spans import plan_of, renewal_on, spans
from portal.subscriptions.views import PlanChange, plan_change

if TYPE_CHECKING:
    from portal.accounts.records import Account
    from portal.billing.plan_quotes import Charge, Quote


class SpanView(BaseModel):
    """Subscribed to a plan from one day to another."""

    plan: Plan
    start: date
    end: date | None = Field(description="Exclusive; null where no end is known.")


class ChargeView(BaseModel):
    """What is billed of the account on a day. The amounts are null where a service has no price."""

    kind: Literal["monthly", "annual"]
    period_start: date
    period_end: date = Field(description="Exclusive.")
    billed_on: date
    lines: list[LineView]
    net: MoneyView | None
    tax: MoneyView | None
    total: MoneyView | None


class QuoteView(BaseModel):
    """A change of plan and its price, at the quantities counted so far."""

    plan: Plan
    effective_on: date
    charges: list[ChargeView] = Field(
        description="To the annual plan: what is still billed monthly until then, and the first term. "
        "To the monthly plan: its first period."
    )


class AccountPlan(BaseModel):
    """What an account was, is and is going to be subscribed to."""

    account_id: str
    account_name: str
    email: str
    distributor_id: str
    partner_id: str = Field(description="`direct` for a distributor's own accounts.")
    account_status: AccountStatus
    plan: Plan | None = Field(description="Today's.")
    renewal_date: date | None
    spans: list[SpanView] = Field(description="They abut; none where the account is not subscribed.")
    upcoming_change: PlanChange | None
    quote: QuoteView | None = Field(description="Of the change that was asked about or made, or is agreed.")


def account_plan(account: "Account", quote: "Quote | None", now: datetime) -> AccountPlan:
    return AccountPlan(
        account_id=account.account_id,
        account_name=account.name,
        email=account.email,
        distributor_id=account.node.distributor,
        partner_id=account.node.partner,
        account_status=account_status(account, now),
        plan=plan_of(account, now),
        renewal_date=renewal_on(account, now),
        spans=[SpanView(plan=each.plan, start=each.start, end=each.end) for each in spans(account, now)],
        upcoming_change=plan_change(account, now),
        quote=_quote(quote) if quote else None,
    )


def _quote(quote: "Quote") -> QuoteView:
    return QuoteView(
        plan=quote.span.plan,
        effective_on=quote.span.start,
        charges=[_charge(each) for each in quote.charges],
    )


def _charge(charge: "Charge") -> ChargeView:
    total = charge.total
    return ChargeView(
        kind=charge.kind,
        period_start=charge.period.start,
        period_end=charge.period.end,
        billed_on=charge.billed_on,
        lines=[line_view(line, total.net.currency) for line in charge.lines] if total else [],
        net=money(total.net) if total else None,
        tax=money(total.tax) if total else None,
        total=money(total.gross) if total else None,
    )
