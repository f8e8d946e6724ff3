"""Changing the plan of a subscribed account, from a day on.

To the annual plan from today or any later day within a year: the days before are billed monthly, in arrears, and
the first term is invoiced when it begins. To the monthly plan only from the end of the present term on: that is
paid in advance. What is past stays as it was, so no day is billed twice, and none is left out.
"""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from portal.change import Change
from portal.errors import Conflict, FieldError, Invalid
from portal.periods import nth_term, term_containing
from portal.subscriptions.rules import Plan, RemovalPending, ended_trial
from portal.subscriptions.spans import Span, span_on, spans

if TYPE_CHECKING:
    from portal.accounts.records import Account


class NotSubscribed(Conflict):
    detail = "This account is not subscribed, so there is no plan to change."


class DayIsBilled(Conflict):
    detail = "The period that this day lies in is billed, or being billed. Choose a later day."


def change_plan(
    account: "Account", plan: Plan, on: date | None, now: datetime, invoiced_from_on: date | None
) -> Change:
    """Put an account on a plan; empty where it is, or that is agreed already.

    Asking for the present plan takes back a change that is still to come; asking for the other one again moves it.

    Args:
        on: None is the first day that is possible.
        invoiced_from_on: the first day of the term that was invoiced last.

    Raises:
        NotSubscribed, RemovalPending: there is nothing to change.
        Invalid: not on that day.
    """
    if account.state in ("removal_pending", "removed"):
        raise RemovalPending
    known = spans(account, now)
    today = _today(now, invoiced_from_on)
    present = span_on(known, today)
    if present is None:
        raise NotSubscribed
    to_come = next((span for span in known if span.start > today), None)
    so_far = [each for each in account.plan_changes or () if date.fromisoformat(each["on"]) <= today]
    if plan == present.plan:
        if on not in (None, present.start, to_come and to_come.start):
            raise _not_on("The account is on this plan: leave the day out.")
        changes = so_far
    else:
        on = _day_of_change(present, on, today)
        changes = [each for each in so_far if each["on"] != on.isoformat()]
        if _plan_before(account, known, changes, on) != plan:
            changes.append({"plan": plan, "on": on.isoformat()})
    if changes == (account.plan_changes or []):
        return Change()
    return (ended_trial(account, now) or Change()) | Change(plan_changes=changes or None)


def changed_to(account: "Account", now: datetime, but: Change, invoiced_from_on: date | None) -> Span | None:
    """The span that begins with the change in `but`, or with the one that is agreed for a day to come."""
    after = spans(account, now, but)
    known = {(span.plan, span.start) for span in spans(account, now)}
    last = after[-1] if after else None
    if last is None or (last.start <= _today(now, invoiced_from_on) and (last.plan, last.start) in known):
        return None
    return last


def _day_of_change(present: Span, on: date | None, today: date) -> date:
    if present.plan == "annual":
        end = term_containing(present.start, today).end
        if on not in (None, end):
            raise _not_on(f"The present term is paid in advance: only from its end, {end}, on.")
        return end
    last = nth_term(today, 1).start
    if on is not None and not today <= on <= last:
        raise _not_on(f"From {today} to {last}.")
    return on or today


def _plan_before(
    account: "Account", known: list[Span], changes: list[dict[str, str]], on: date
) -> str | None:
    """The plan on the eve of a day, with these changes; None where it is the day of subscribing."""
    plans = {known[0].start.isoformat(): account.plan or known[0].plan}
    plans |= {each["on"]: each["plan"] for each in changes}
    return next((plans[day] for day in sorted(plans, reverse=True) if day < on.isoformat()), None)


def _today(now: datetime, invoiced_from_on: date | None) -> date:
    """The present day; a term that is invoiced has begun, also for who looked at the clock before midnight."""
    return max(now.astimezone(UTC).date(), invoiced_from_on or date.min)


def _not_on(said: str) -> Invalid:
    return Invalid(errors=(FieldError("effective_on", said),))
