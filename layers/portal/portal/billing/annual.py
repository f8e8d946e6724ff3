"""Annual invoices: in advance, one per account and term.

A renewal says which term is to be invoiced next. Its invoice is issued in one transaction that also moves the
renewal on, so a term is invoiced once however often and late this runs. An account owes every term that began
before it ended or changed to the monthly plan, also where this runs only after that; a term that was to begin
later it does not.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile

from portal import keys
from portal.accounts.records import Account, find_accounts_at, find_renewal
from portal.billing import digests, drafts, lines, rules
from portal.billing.account_usage import account_usages
from portal.billing.guard_rails import MOST_RECENT, reasons_to_park
from portal.billing.holds import find_hold
from portal.billing.issue import PATIENCE, first_billed, issuing, midnight, term_billed
from portal.billing.parking import UNPRICED, parked
from portal.billing.rating import Rated, UnpricedService, rate_term, total
from portal.billing.records import Bill, BillPart, Overtaken, Usage, bill_key, find_bill, get_part, list_bills
from portal.billing.snapshot import settle_usage
from portal.change import Change
from portal.consumer import Work
from portal.distributors.records import get_distributor
from portal.money import Money
from portal.periods import Period
from portal.scope import EVERYTHING
from portal.subscriptions.spans import next_term, spans, terms
from portal.table import Check, Delete, Put, Update, Write, settled
from portal.tree import Node


def invoice_terms(work: Work, at: Node, until: datetime) -> None:
    """Invoice every term of an account that has begun by `until`, oldest first, until one gets parked."""
    while settled(lambda: _invoice_next_term(work, at, until), times=PATIENCE):
        pass


def _invoice_next_term(work: Work, at: Node, until: datetime) -> bool:
    """Invoice one term; whether there may be another."""
    renewal = find_renewal(EVERYTHING, at)
    if renewal is None or renewal.due_at is None or renewal.due_at > until:
        return False
    if find_hold(EVERYTHING, at.distributor_node):
        return False
    account = find_accounts_at(EVERYTHING, [at]).get(at)
    if account is None:
        work.commit(Delete(renewal))
        return False
    subscription = spans(account, work.now)
    term = next_term(subscription, renewal.term_start_on)
    if term is None or midnight(term.start) > until:
        work.commit(Update(renewal, Change(due_at=midnight(term.start) if term else None)))
        return False
    bill_sk = bill_key("annual", term.start, at.account)
    begun = find_bill(EVERYTHING, at.distributor_node, bill_sk)
    if begun and begun.state == "parked":
        return False
    bill, decided = (begun, []) if begun else _draft(work, at, bill_sk, term)
    terms_begun = list(takewhile(lambda each: midnight(each.start) <= until, terms(subscription)))
    usage = settle_usage(at, term.start, work.now)
    rated, reasons = _rate(work, account, usage, bill, term, terms_begun)
    sums = total(rated.lines, bill.currency, lines.tax_of(bill))
    part, parts_digest = _part(bill, account, rated)
    if reasons:
        waiting = parked(at.distributor_node, bill_sk, reasons, work.now)
        stopped = rules.parked(sums, reasons) | Change(parts_digest=parts_digest)
        work.commit(_written(bill, stopped), part, waiting, *decided)
        return False
    moved = term_billed(renewal, term, rated.lines)
    if not rated.lines:
        work.commit(_written(bill, Change(state="nothing_to_bill")), part, moved, *decided)
        return True
    issue = issuing(at.distributor_node, bill_sk, "annual", bill.bill_method, sums, work.now)
    named = first_billed(account, issue.change["issued_on"])
    # What the engine tells meanwhile is counted first: until the invoice is issued it can be corrected.
    counted = [Check(usage)] if usage else []
    writes = [*issue.writes, *named, *decided, *counted]
    issued = digests.sealed(bill, issue.change, parts_digest)
    work.commit(_written(bill, issued), part, moved, *writes, send=issue.messages)
    return True


def _draft(work: Work, at: Node, bill_sk: str, term: Period) -> tuple[Bill, list[Write]]:
    """A new draft, and what goes with it into the table: a distributor's first bill decides that its currency stays."""
    # Looked for before the distributor is read: with a bill already there, what is read then stays.
    is_first = not any(list_bills(EVERYTHING, at.distributor_node, limit=1))
    distributor = get_distributor(EVERYTHING, at.distributor)
    bill = Bill(
        keys.node(at.distributor_node),
        bill_sk,
        **drafts.drafted(distributor, "annual", term),
        account_id=at.account,
        partner_id=at.partner,
        part_count=1,
        roster_complete=True,
        created_at=work.now,
    )
    return bill, [Update(distributor, Change())] if is_first else []


def _rate(
    work: Work, account: Account, usage: Usage | None, bill: Bill, term: Period, begun: Sequence[Period]
) -> tuple[Rated, tuple[str, ...]]:
    """The term's lines or why there are none, and the reasons not to issue them without an operator.

    `begun` are all of the account's terms that have.
    """
    in_spans = account_usages(account, usage, work.now)
    used = next(
        each for each in reversed(in_spans) if each.subscribed_on and each.subscribed_on <= term.start
    )
    try:
        rated = rate_term(used, drafts.price_book_of(bill), term)
    except UnpricedService:
        return Rated(()), (UNPRICED,)
    if not rated.lines:
        return rated, ()
    gross = total(rated.lines, bill.currency, lines.tax_of(bill)).gross
    earlier = [each for each in begun if each.start < term.start]
    return rated, reasons_to_park(rated.lines, gross, _invoiced(account, earlier), len(begun) - len(earlier))


def _invoiced(account: Account, earlier: Sequence[Period]) -> list[Money]:
    """What the last three invoices for these terms came to, oldest first."""
    found: list[Money] = []
    for term in reversed(earlier):
        bill = find_bill(
            EVERYTHING, account.node.distributor_node, bill_key("annual", term.start, account.account_id)
        )
        if bill and bill.issued_on:
            found.insert(0, lines.total_of_bill(bill).gross)
        if len(found) == MOST_RECENT:
            break
    return found


def _part(bill: Bill, account: Account, rated: Rated) -> tuple[Write, str]:
    """The invoice's one part, and its digest."""
    entry = {"account_id": account.account_id, "partner_id": account.node.partner}
    if rated.lines:
        entry |= {"outcome": "billed", "name": account.name, "email": account.email}
    else:
        entry |= {"outcome": "excluded", "reason": rated.excluded_reason or "parked"}
    rated_as = Change(
        roster=[entry], lines=[lines.stored_line(line) for line in rated.lines], rated_in=int(bill.rating)
    )
    digest = digests.with_part(None, rated_as)
    if bill.version is not None:
        return Update(get_part(EVERYTHING, bill, 1), rated_as), digest
    key = keys.bill_parts(bill.node, bill.sk), keys.bill_part(1)
    return Put(BillPart(*key, **rated_as), taken=Overtaken), digest


def _written(bill: Bill, change: Change) -> Write:
    """The change of a bill that exists already, or a new bill as it is with the change."""
    if bill.version is not None:
        return Update(bill, change)
    for name, value in change.items():
        setattr(bill, name, value)
    return Put(bill, taken=Overtaken)
