"""Accounts: their trials and subscriptions, their place on every roster, and that bills charge for their days alone."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from portal.billing.reconciliation.documents import PATIENCE, name_of
from portal.billing.reconciliation.findings import Finding, Findings
from portal.change import Change
from portal.periods import Period, subscribed_days
from portal.subscriptions.rules import TRIAL, invoiced_at
from portal.subscriptions.spans import next_term, spans, term_on

if TYPE_CHECKING:
    from portal.accounts.records import Account, Renewal
    from portal.billing.records import Bill

_NOT_ENDED = Change(ended_on=None)
_BEING_REMOVED = ("removal_pending", "removed")


def _name(account: "Account") -> str:
    return f"account {account.account_id}"


def check_subscription(account: "Account") -> Findings:
    """B12, B8 and B9: how it began, was subscribed, and ended fit together."""
    name, subscribed_on = _name(account), account.subscribed_on
    was_subscribed = subscribed_on is not None and account.plan is not None
    if account.state in ("trial", "expired") and (subscribed_on or account.plan or account.plan_changes):
        yield Finding("B12", name, f"It is on trial, yet subscribed on {subscribed_on}.")
    if account.state == "subscribed" and not was_subscribed:
        yield Finding("B12", name, "It is subscribed to no plan, or on no day.")
    if subscribed_on and account.created_at and subscribed_on < account.created_at.date():
        yield Finding("B12", name, f"It was subscribed on {subscribed_on}, before it was there.")
    if subscribed_on and account.first_billed_on and account.first_billed_on < subscribed_on:
        yield Finding(
            "B12",
            name,
            f"It was subscribed on {subscribed_on}, and had been billed on {account.first_billed_on}.",
        )
    yield from _check_trial(account, name)
    if account.state in _BEING_REMOVED:
        if was_subscribed and account.ended_on is None:
            yield Finding("B9", name, "It was removed, and no day ends what is billed.")
        if account.lifecycle == "trial":
            yield Finding("B9", name, "It was removed, and mail about its trial would still go out.")
    elif account.ended_on is not None:
        yield Finding("B9", name, f"It ended on {account.ended_on}, yet is {account.state}.")


def _check_trial(account: "Account", name: str) -> Findings:
    mode, ends_at = account.subscription_default.get("mode"), account.trial_ends_at
    if ends_at is None:
        return
    if mode == "subscription_without_trial":
        yield Finding("B12", name, "It was subscribed from the start, and had a trial.")
    if account.created_at and ends_at != account.created_at + TRIAL:
        yield Finding("B8", name, f"Its trial ends at {ends_at}, not 14 days after {account.created_at}.")
    became_on = ends_at.astimezone(UTC).date()
    if mode == "trial_with_auto_subscription" and account.subscribed_on and account.subscribed_on > became_on:
        yield Finding(
            "B12",
            name,
            f"Its trial subscribed it on {became_on}, and it was again on {account.subscribed_on}.",
        )


def check_renewal(account: "Account", renewal: "Renewal | None", now: datetime, *, waits: bool) -> Findings:
    """B8 and B2: the terms invoiced and to be invoiced are the subscription's own, and none is left out.

    `waits`: whether the next one does, for an operator.
    """
    name, term = _name(account), next_term(spans(account, now), renewal.term_start_on if renewal else None)
    if account.state != "subscribed":
        return
    if renewal is None:
        if term is not None:
            yield Finding("B2", name, f"Nothing has its term from {term.start} on invoiced.")
        return
    last = renewal.term_start_on
    known = term_on(spans(account, now, _NOT_ENDED), last) if last else None
    if last and (known is None or known.start != last):
        yield Finding("B8", name, f"It was invoiced for a term from {last} on, which is none of its own.")
    elif term is not None and (renewal.due_at is None or renewal.due_at > invoiced_at(term.start)):
        yield Finding("B2", name, f"Its term from {term.start} on is not invoiced when it begins.")
    elif term is not None and invoiced_at(term.start) < now - PATIENCE and not waits:
        yield Finding("B2", name, f"Its term from {term.start} on is not invoiced yet.")


def check_roster(
    bill: "Bill", roster: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]], after: str
) -> Findings:
    """B2 of one part: every account once, in order, with an outcome. `after` is the account before the first."""
    name, ids = name_of(bill), [entry["account_id"] for entry in roster]
    for earlier, later in pairwise([after, *ids]):
        if later <= earlier:
            yield Finding("B2", name, f"{later} stands on its roster twice, or behind {earlier}.")
    billed = {entry["account_id"] for entry in roster if entry["outcome"] == "billed"}
    charged = {line["account_id"] for line in lines}
    for account_id in sorted(billed ^ charged):
        said = "has lines, yet is not billed" if account_id in charged else "is billed, yet has no line"
        yield Finding("B2", name, f"{account_id} {said}.")
    for entry in roster:
        if entry["outcome"] != "billed" and not (entry["outcome"] == "excluded" and entry.get("reason")):
            yield Finding("B2", name, f"{entry['account_id']} is neither billed nor left out for a reason.")


def check_missing(bill: "Bill", not_on_roster: Iterable["Account"], now: datetime) -> Findings:
    """B2: who was subscribed in the period, and there before the roster was begun, stands on it.

    Who was being created just then may have been stored behind its reading; so late it owes nothing for the period.
    """
    for account in not_on_roster:
        first = next(iter(spans(account, now)), None)
        is_owed = first is not None and first.start < bill.period_end_on
        if is_owed and account.created_at and bill.created_at and account.created_at < bill.created_at:
            yield Finding("B2", name_of(bill), f"{account.account_id} is not on its roster.")


def check_lines(
    bill: "Bill", account: "Account", lines: Sequence[Mapping[str, Any]], now: datetime
) -> Findings:
    """B9, B12 and B8: an account is charged for days on which it was subscribed, and for terms that are its own."""
    period = Period(bill.period_start_on, bill.period_end_on)
    for line in lines:
        if line["kind"] == "monthly":
            yield from _check_days(bill, account, line, period, now)
    advance = {"annual": period.start, "true_up": period.end}
    begins = {advance[line["kind"]] for line in lines if line["kind"] in advance}
    ended_on = account.ended_on
    for begins_on in begins:
        if ended_on and (ended_on < begins_on or (ended_on == begins_on and bill.issued_on > ended_on)):
            yield Finding(
                "B9",
                name_of(bill),
                f"{account.account_id} ended on {ended_on}, before what it is charged for.",
            )
    if bill.bill_kind == "annual" and term_on(spans(account, now, _NOT_ENDED), period.start) != period:
        yield Finding(
            "B8", name_of(bill), f"{period.start} to {period.end} is no term of {account.account_id}."
        )


def _check_days(
    bill: "Bill", account: "Account", line: Mapping[str, Any], period: Period, now: datetime
) -> Findings:
    if line["of_days"] != period.days:
        yield Finding("B8", name_of(bill), f"{account.account_id} is billed for days of {line['of_days']}.")
    known = [span for span in spans(account, now) if span.plan == "monthly"]
    days = {subscribed_days(period, span.start, span.end).days for span in known}
    if line["days"] in days:
        return
    ended_on, most = account.ended_on, max(days, default=0)
    if ended_on is not None and ended_on < period.end and line["days"] > most:
        yield Finding(
            "B9",
            name_of(bill),
            f"{account.account_id} ended on {ended_on}, and is billed for {line['days']} days.",
        )
        return
    yield Finding(
        "B12",
        name_of(bill),
        f"{account.account_id} is billed for {line['days']} days; it was subscribed on {most}.",
    )


def check_left_out(bill: "Bill", account: "Account", reason: str | None, now: datetime) -> Findings:
    """B2: who was subscribed all the period is not left out as one on trial."""
    first = next(iter(spans(account, now)), None)
    if (
        reason == "trial"
        and first is not None
        and first.start <= bill.period_start_on
        and first.plan == "monthly"
    ):
        yield Finding("B2", name_of(bill), f"{account.account_id} is left out, though subscribed.")
