"""Releasing a parked bill: an operator has looked at it, and it goes on from where it was stopped."""

from dataclasses import dataclass
from datetime import UTC, datetime

from portal.accounts.records import find_accounts_at, find_renewal
from portal.billing import drafts, lines, rules
from portal.billing.issue import first_billed, issuing, period_billed, term_billed
from portal.billing.parking import UNPRICED
from portal.billing.records import Bill, get_bill_at, get_part
from portal.change import Change
from portal.distributors.records import get_distributor, get_schedule
from portal.journal import Message
from portal.operators.records import Parked
from portal.periods import Period
from portal.scope import EVERYTHING
from portal.table import Delete, Update, Write
from portal.tree import Node


@dataclass(frozen=True, slots=True)
class Release:
    """What a release writes, together or not at all."""

    bill: Bill
    writes: list[Write]
    messages: list[Message]


def releasing(parked: Parked, *, by: str, at: datetime) -> Release:
    """Issue the bill as it stands, or begin its rating anew where services had no price; the run goes on.

    An annual invoice whose account ended before the term began is dropped: it gets no number.

    Raises:
        NotWaiting: it was released already.
        OtherCurrency: it is to be rated anew, and the prices are in another one.
    """
    change = rules.released(parked, by, at)
    bill = get_bill_at(EVERYTHING, Node(parked.distributor_id), parked.bill_sk)
    rules.check_not_issued(bill)
    goes_on = _rated_anew if UNPRICED in parked.reasons else _annual if bill.account_id else _monthly
    release = goes_on(bill, at)
    return Release(bill, [Update(parked, change), *release.writes], [*release.messages, _run_again(bill)])


def _rated_anew(bill: Bill, at: datetime) -> Release:
    distributor = get_distributor(EVERYTHING, bill.node.distributor)
    prices = drafts.repriced(distributor, bill, at.astimezone(UTC).date())
    return Release(bill, [Update(bill, rules.rated_anew(bill, prices))], [])


def _monthly(bill: Bill, at: datetime) -> Release:
    distributor = get_distributor(EVERYTHING, bill.node.distributor)
    schedule = get_schedule(EVERYTHING, bill.node, "monthly")
    issue = issuing(bill.node, bill.sk, "monthly", bill.bill_method, lines.total_of_bill(bill), at)
    moved = period_billed(schedule, distributor, bill, at)
    return Release(bill, [Update(bill, issue.change), moved, *issue.writes], issue.messages)


def _annual(bill: Bill, at: datetime) -> Release:
    node = _account_node(bill)
    account, renewal = find_accounts_at(EVERYTHING, [node]).get(node), find_renewal(EVERYTHING, node)
    ended_on = account.ended_on if account else None
    ended_before = ended_on is not None and ended_on <= bill.period_start_on
    if account is None or ended_before or renewal is None:
        dropped: list[Write] = [Update(bill, Change(state="nothing_to_bill"))]
        return Release(bill, dropped + ([Delete(renewal)] if renewal else []), [])
    issue = issuing(bill.node, bill.sk, "annual", bill.bill_method, lines.total_of_bill(bill), at)
    term = Period(bill.period_start_on, bill.period_end_on)
    moved = term_billed(renewal, term, lines.lines_of(get_part(EVERYTHING, bill, 1)))
    named = first_billed(account, issue.change["issued_on"])
    return Release(bill, [Update(bill, issue.change), moved, *issue.writes, *named], issue.messages)


def _run_again(bill: Bill) -> Message:
    if bill.account_id:
        return Message("Billing", bill.node, {"kind": "annual", "account": str(_account_node(bill))})
    return Message("Billing", bill.node, {"kind": "monthly", "distributor_id": bill.node.distributor})


def _account_node(bill: Bill) -> Node:
    return Node(bill.node.distributor, bill.partner_id or "", bill.account_id or "")
