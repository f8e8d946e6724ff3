"""Releasing a parked bill: an operator has looked at it, and it goes on from where it was stopped."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from portal.accounts.records import find_accounts_at, find_renewal
from portal.billing import digests, drafts, lines, rules, true_ups
from portal.billing.holds import Held, find_hold, lifted
from portal.billing.issue import first_billed, issuing, period_billed, term_billed
from portal.billing.parking import NOTICES, UNPRICED
from portal.billing.records import Bill, get_bill_at, get_part, list_open_bills, list_parts
from portal.change import Change
from portal.distributors.records import get_distributor, get_schedule
from portal.journal import Message
from portal.operators.records import Parked
from portal.periods import Period
from portal.scope import EVERYTHING
from portal.subscriptions.spans import spans, term_on
from portal.table import Update, Write
from portal.tree import VENDOR, Node


@dataclass(frozen=True, slots=True)
class Release:
    """What a release writes, together or not at all."""

    bill: Bill | None
    """None where the books as a whole were parked, or a transfer was told of that is for no bill."""
    writes: list[Write]
    messages: list[Message]
    is_notice: bool = False
    """Nothing was stopped, and nothing goes on."""

    @property
    def said(self) -> str:
        """What the audit trail says."""
        if self.is_notice:
            of = f"bill {self.bill.reference}" if self.bill else "a bank transfer"
            return f"Looked at what the payment provider had told of {of}"
        if self.bill is None:
            return "Released the books that reconciliation had found wrong"
        return f"Released the parked bill for {self.bill.period_start_on} to {self.bill.period_end_on}"

    @property
    def about(self) -> Node | None:
        """Whose annual invoice it was."""
        return self.bill.account_node if self.bill else None


def releasing(parked: Parked, *, by: str, at: datetime) -> Release:
    """Issue the bill as it stands, or begin its rating anew where services had no price; the run goes on.

    A consolidated bill that charges for the growth of an account that ended meanwhile is gone through again without it.
    An annual invoice whose account ended, or changed its plan, before the term began is dropped: it gets no number.
    Books that were wrong hold the distributor no longer: its bills are paid and charged again. A notice about an issued
    bill or a bank transfer only leaves the list.

    Raises:
        NotWaiting: it was released already.
        Held: the distributor's books are wrong: they come first.
        OtherCurrency: it is to be rated anew, and the prices are in another one.
    """
    change = rules.released(parked, by, at)
    distributor = Node(parked.distributor_id)
    hold = find_hold(EVERYTHING, distributor)
    if NOTICES.issuperset(parked.reasons):
        about = get_bill_at(EVERYTHING, distributor, parked.bill_sk) if parked.bill_sk else None
        return Release(about, [Update(parked, change)], [], is_notice=True)
    if parked.bill_sk is None:
        writes = [lifted(hold, parked, at)] if hold and hold.parked_id == parked.parked_id else []
        on = [_months_again(distributor), *_paid_again(distributor)] if distributor != VENDOR else []
        return Release(None, [Update(parked, change), *writes], on)
    bill = get_bill_at(EVERYTHING, distributor, parked.bill_sk)
    if hold is not None:
        raise Held
    rules.check_not_issued(bill)
    goes_on = _rated_anew if UNPRICED in parked.reasons else _annual if bill.account_id else _monthly
    release = goes_on(bill, at)
    return Release(bill, [Update(parked, change), *release.writes], [*release.messages, _run_again(bill)])


def _rated_anew(bill: Bill, at: datetime) -> Release:
    distributor = get_distributor(EVERYTHING, bill.node.distributor)
    prices = drafts.repriced(distributor, bill, at.astimezone(UTC).date())
    return Release(bill, [Update(bill, rules.rated_anew(bill, prices))], [])


def _monthly(bill: Bill, at: datetime) -> Release:
    if any(true_ups.grew_and_ended(bill, part) for part in list_parts(EVERYTHING, bill)):
        return Release(bill, [Update(bill, rules.sent_back(bill))], [])
    distributor = get_distributor(EVERYTHING, bill.node.distributor)
    schedule = get_schedule(EVERYTHING, bill.node, "monthly")
    issue = issuing(bill.node, bill.sk, "monthly", bill.bill_method, lines.total_of_bill(bill), at)
    moved = period_billed(schedule, distributor, bill, at)
    issued = digests.sealed(bill, issue.change)
    return Release(bill, [Update(bill, issued), moved, *issue.writes], issue.messages)


def _annual(bill: Bill, at: datetime) -> Release:
    node = _account_node(bill)
    account, renewal = find_accounts_at(EVERYTHING, [node]).get(node), find_renewal(EVERYTHING, node)
    owed = term_on(spans(account, at), bill.period_start_on) if account else None
    if account is None or renewal is None or owed is None or owed.start != bill.period_start_on:
        return Release(bill, [Update(bill, Change(state="nothing_to_bill"))], [])
    issue = issuing(bill.node, bill.sk, "annual", bill.bill_method, lines.total_of_bill(bill), at)
    term = Period(bill.period_start_on, bill.period_end_on)
    moved = term_billed(renewal, term, lines.lines_of(get_part(EVERYTHING, bill, 1)))
    named = first_billed(account, issue.change["issued_on"])
    issued = digests.sealed(bill, issue.change)
    return Release(bill, [Update(bill, issued), moved, *issue.writes, *named], issue.messages)


def _run_again(bill: Bill) -> Message:
    if bill.account_id:
        return Message("Billing", bill.node, {"kind": "annual", "account": str(_account_node(bill))})
    return _months_again(bill.node)


def _months_again(distributor: Node) -> Message:
    return Message("Billing", distributor, {"kind": "monthly", "distributor_id": distributor.distributor})


def _paid_again(distributor: Node) -> list[Message]:
    """From the credit balance, beginning with what is due first; cards that are to be charged are looked at anyway."""
    body = {"kind": "bill", "distributor_id": distributor.distributor}
    first = islice(list_open_bills(EVERYTHING, distributor), 1)
    return [Message("Payments", distributor, {**body, "bill_sk": bill.sk}) for bill in first]


def _account_node(bill: Bill) -> Node:
    return Node(bill.node.distributor, bill.partner_id or "", bill.account_id or "")
