"""What an account is subscribed to, day by day.

A subscription is a row of spans that abut: one plan from the day of subscribing on, the other from the day of
each change on, until the account ends. What is stored is the first plan with its day and the changes with
theirs; all else follows from the date, so that nothing has to happen on the day of a change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count, pairwise, takewhile
from typing import TYPE_CHECKING, Any

from portal.change import Change
from portal.periods import Period, next_monthly_anniversary, nth_term, term_containing
from portal.subscriptions.rules import Plan, ended_trial

if TYPE_CHECKING:
    from portal.accounts.records import Account

_NOTHING = Change()
_TOLD_BY = ("plan", "subscribed_on", "plan_changes", "ended_on")


@dataclass(frozen=True, slots=True)
class Span:
    """Subscribed to `plan` on the days d with start <= d < end (None: no end is known).

    Its annual terms are counted from its start.
    """

    plan: Plan
    start: date
    end: date | None

    def __contains__(self, day: date) -> bool:
        return self.start <= day and (self.end is None or day < self.end)


def spans(account: "Account", now: datetime, but: Change = _NOTHING) -> list[Span]:
    """An account's spans, those to come included; none where it was never subscribed.

    A trial that is over counts as what it has become, also where the trial job has not been there yet. `but`
    are new values of the account that are not stored.
    """
    known: dict[str, Any] = {name: getattr(account, name) for name in _TOLD_BY}
    known |= dict((ended_trial(account, now) or _NOTHING) | but)
    if known["plan"] is None or known["subscribed_on"] is None:
        return []
    plans: dict[date, Plan] = {known["subscribed_on"]: known["plan"]}
    plans |= {date.fromisoformat(each["on"]): each["plan"] for each in known["plan_changes"] or ()}
    starts, ended_on = sorted(plans), known["ended_on"]
    if ended_on is not None:
        starts = [start for start in starts if start < ended_on] or starts[:1]
        ended_on = max(ended_on, starts[-1])
    return [Span(plans[start], start, end) for start, end in pairwise([*starts, ended_on])]


def span_on(known: Sequence[Span], day: date) -> Span | None:
    """The span in force on a day: before the first one that, after the last one that."""
    return next((span for span in reversed(known) if span.start <= day), known[0] if known else None)


def plan_of(account: "Account", now: datetime) -> Plan | None:
    """What the account is, or until its removal was, subscribed to."""
    present = span_on(spans(account, now), _day(now))
    return present.plan if present else None


def upcoming(account: "Account", now: datetime) -> Span | None:
    """The change of plan that is still to come."""
    return next((span for span in spans(account, now)[1:] if span.start > _day(now)), None)


def renewal_on(account: "Account", now: datetime) -> date | None:
    """When a subscription renews next, after today: the end of its term, or of its own month; earlier where
    it changes to the other plan.
    """
    today, present = _day(now), span_on(spans(account, now), _day(now))
    if present is None or account.state in ("removal_pending", "removed"):
        return None
    if present.plan == "annual":
        return term_containing(present.start, max(today, present.start)).end
    anniversary = next_monthly_anniversary(present.start, today)
    return min(anniversary, present.end) if present.end else anniversary


def terms(known: Sequence[Span]) -> Iterator[Period]:
    """Every annual term that begins, in order; without end where the last span is annual and has none."""
    for span in known:
        if span.plan == "annual":
            yield from _terms(span)


def next_term(known: Sequence[Span], after: date | None) -> Period | None:
    """The first annual term that begins after a day (None: the first of all)."""
    return next((term for term in terms(known) if after is None or term.start > after), None)


def term_on(known: Sequence[Span], day: date) -> Period | None:
    """The annual term that a day falls in, if one does."""
    span = next((span for span in known if day in span and span.plan == "annual"), None)
    return term_containing(span.start, day) if span else None


def _terms(span: Span) -> Iterator[Period]:
    every = (nth_term(span.start, number) for number in count())
    return takewhile(lambda term: span.end is None or term.start < span.end, every)


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()
