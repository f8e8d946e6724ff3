"""Carrying out a change of plan: what is written for it, and who is told."""

from dataclasses import dataclass
from datetime import date, datetime

from portal.accounts.records import Account, Renewal, find_renewal, get_account, renewal_of
from portal.billing.plan_quotes import Quote, load_quote
from portal.billing.records import list_consolidated_bills
from portal.change import Change
from portal.distributors.records import Schedule, get_distributor, get_schedule
from portal.journal import Activity, Entry, Message
from portal.notifications.messages import mail
from portal.periods import period_containing
from portal.scope import Scope
from portal.subscriptions import plan_changes
from portal.subscriptions.actions import subscribed_entry
from portal.subscriptions.rules import Plan, invoiced_at
from portal.subscriptions.spans import Span, next_term, plan_of, spans, upcoming
from portal.table import Check, Put, Update, Write
from portal.tree import VENDOR, Node

_NOTHING = Change()


@dataclass(frozen=True, slots=True)
class PlanChanging:
    """A change of plan that is decided and not made. The change is empty where nothing is to be done."""

    account: Account
    renewal: Renewal | None
    schedule: Schedule
    change: Change
    span: Span | None
    """What begins with it, or was agreed before; None where the account stays on its plan."""


def load(scope: Scope, account_id: str, plan: Plan | None, on: date | None, now: datetime) -> PlanChanging:
    """Decide what putting an account on a plan means; without a plan, what is agreed.

    Raises:
        NotFound: there is no such account.
        NotSubscribed, RemovalPending, Invalid: see `plan_changes`.
        DayIsBilled: the request began before midnight, and the run of the new day was there first.
    """
    account = get_account(scope, account_id)
    renewal = find_renewal(scope, account.node)
    schedule = get_schedule(scope, account.node.distributor_node, "monthly")
    invoiced_from_on = renewal.term_start_on if renewal else None
    change = plan_changes.change_plan(account, plan, on, now, invoiced_from_on) if plan else _NOTHING
    span = plan_changes.changed_to(account, now, change, invoiced_from_on)
    if change and span and _is_billed(scope, account.node.distributor_node, span.start):
        raise plan_changes.DayIsBilled
    return PlanChanging(account, renewal, schedule, change, span)


def quote_of(scope: Scope, changing: PlanChanging, now: datetime) -> Quote | None:
    if changing.span is None:
        return None
    return load_quote(scope, changing.account, changing.change, changing.span, changing.schedule, now)


def writes(changing: PlanChanging, now: datetime) -> list[Write]:
    """The account's change, when its next term is invoiced from now on, and that no run has begun meanwhile that
    goes by what was: a monthly one would have changed the schedule, an annual one the renewal, so that is written
    even where it stays the same.
    """
    account, renewal, change = changing.account, changing.renewal, changing.change
    term = next_term(spans(account, now, change), renewal.term_start_on if renewal else None)
    due_at = invoiced_at(term.start) if term else None
    found: list[Write] = [Update(account, change), Check(changing.schedule)]
    if renewal:
        found.append(Update(renewal, Change(due_at=due_at)))
    elif due_at:
        found.append(Put(renewal_of(account, due_at)))
    return found


def entries(changing: PlanChanging, now: datetime) -> list[Entry]:
    """In the vendor's audit trail and in that of who sells to the account."""
    account, span = changing.account, changing.span
    nodes = VENDOR, account.node.distributor_node if account.node.is_direct else account.node.partner_node
    said = (
        f"Changed {account.email} to the {span.plan} plan from {span.start} on"
        if span
        else f"Kept {account.email} on the {plan_of(account, now)} plan: took back the change{_agreed(account, now)}"
    )
    found = [Entry(Activity.SUBSCRIBED_TO_PLAN, node, said, account.email, account.node) for node in nodes]
    if "subscribed_on" in changing.change:
        found.insert(0, subscribed_entry(nodes[1], account, changing.change["plan"]))
    return found


def messages(changing: PlanChanging, now: datetime) -> list[Message]:
    """A mail to who gets the distributor's bills."""
    account, span = changing.account, changing.span
    parameters = {
        "account": account.name,
        "email": account.email,
        "plan": span.plan if span else plan_of(account, now),
        "effective_on": span.start.isoformat() if span else None,
    }
    dedupe = f"plan {account.account_id} {account.version}"
    to: Node = account.node.distributor_node
    return [mail(to, to_billing=True, template="plan_changed", parameters=parameters, dedupe=dedupe)]


def _is_billed(scope: Scope, distributor: Node, day: date) -> bool:
    """Whether the consolidated bill for a day's period is there already, be it as a draft."""
    payment_day = int(get_distributor(scope, distributor.distributor).payment_day)
    return bool(list_consolidated_bills(scope, distributor, period_containing(payment_day, day).end))


def _agreed(account: Account, now: datetime) -> str:
    agreed = upcoming(account, now)
    return f" from {agreed.start} on" if agreed else ""
