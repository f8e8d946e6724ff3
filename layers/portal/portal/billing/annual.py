"""Annual invoices: in advance, one per account and term.

A renewal says which term is to be invoiced next. Its invoice is issued in one transaction that also moves the
renewal on, so a term is invoiced once however often and late this runs. An account owes every term that began
before it ended, also where this runs only after it was removed; a term that was to begin later it does not.
"""

from datetime import date, datetime, timedelta
from itertools import count, takewhile

from portal import keys
from portal.accounts.records import Account, find_accounts_at, find_renewal
from portal.billing import drafts, lines, rules
from portal.billing.account_usage import account_usage
from portal.billing.guard_rails import MOST_RECENT, reasons_to_park
from portal.billing.issue import PATIENCE, first_billed, issuing, term_billed
from portal.billing.parking import UNPRICED, parked
from portal.billing.rating import Rated, UnpricedService, rate_term, total
from portal.billing.records import Bill, BillPart, Overtaken, bill_key, find_bill, get_part, list_bills
from portal.billing.snapshot import settle_usage
from portal.change import Change
from portal.consumer import Work
from portal.distributors.records import get_distributor
from portal.money import Money
from portal.periods import Period, nth_term, term_containing
from portal.scope import EVERYTHING
from portal.table import Delete, Put, Update, Write, settled
from portal.tree import Node


def invoice_terms(work: Work, at: Node, until: datetime) -> None:
    """Invoice every term of an account that has begun by `until`, oldest first, until one gets parked."""
    while settled(lambda: _invoice_next_term(work, at, until), times=PATIENCE):
        pass


def _invoice_next_term(work: Work, at: Node, until: datetime) -> bool:
    """Invoice one term; whether there may be another."""
    renewal = find_renewal(EVERYTHING, at)
    if renewal is None or renewal.due_at > until:
        return False
    account = find_accounts_at(EVERYTHING, [at]).get(at)
    if account is None or account.subscribed_on is None:
        work.commit(Delete(renewal))
        return False
    term = term_containing(account.subscribed_on, renewal.due_at.date())
    if account.ended_on is not None and account.ended_on <= term.start:
        work.commit(Delete(renewal))
        return False
    bill_sk = bill_key("annual", term.start, at.account)
    begun = find_bill(EVERYTHING, at.distributor_node, bill_sk)
    if begun and begun.state == "parked":
        return False
    bill, decided = (begun, []) if begun else _draft(work, at, bill_sk, term)
    today = until.date()
    if account.ended_on is not None:
        today = min(today, account.ended_on - timedelta(days=1))
    rated, reasons = _rate(work, account, bill, term, today)
    sums = total(rated.lines, bill.currency, lines.tax_of(bill))
    part = _part(bill, account, rated)
    if reasons:
        waiting = parked(at.distributor_node, bill_sk, reasons, work.now)
        work.commit(_written(bill, rules.parked(sums, reasons)), part, waiting, *decided)
        return False
    moved = term_billed(renewal, term, rated.lines)
    if not rated.lines:
        work.commit(_written(bill, Change(state="nothing_to_bill")), part, moved, *decided)
        return True
    issue = issuing(at.distributor_node, bill_sk, "annual", bill.bill_method, sums, work.now)
    named = first_billed(account, issue.change["issued_on"])
    writes = [*issue.writes, *named, *decided]
    work.commit(_written(bill, issue.change), part, moved, *writes, send=issue.messages)
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
    work: Work, account: Account, bill: Bill, term: Period, today: date
) -> tuple[Rated, tuple[str, ...]]:
    """The term's lines or why there are none, and the reasons not to issue them without an operator.

    `today` is the last day by which terms can have begun.
    """
    usage = settle_usage(account.node, term.start, work.now)
    try:
        rated = rate_term(account_usage(account, usage, work.now), drafts.price_book_of(bill), term)
    except UnpricedService:
        return Rated(()), (UNPRICED,)
    if not rated.lines:
        return rated, ()
    gross = total(rated.lines, bill.currency, lines.tax_of(bill)).gross
    begun = list(
        takewhile(lambda each: each.start <= today, (nth_term(account.subscribed_on, n) for n in count()))
    )
    earlier = [each for each in begun if each.start < term.start]
    return rated, reasons_to_park(rated.lines, gross, _invoiced(account, earlier), len(begun) - len(earlier))


def _invoiced(account: Account, terms: list[Period]) -> list[Money]:
    """What the account's last three invoices came to, oldest first."""
    found: list[Money] = []
    for term in reversed(terms):
        bill = find_bill(
            EVERYTHING, account.node.distributor_node, bill_key("annual", term.start, account.account_id)
        )
        if bill and bill.issued_on:
            found.insert(0, lines.total_of_bill(bill).gross)
        if len(found) == MOST_RECENT:
            break
    return found


def _part(bill: Bill, account: Account, rated: Rated) -> Write:
    """The invoice's one part."""
    entry = {"account_id": account.account_id, "partner_id": account.node.partner}
    if rated.lines:
        entry |= {"outcome": "billed", "name": account.name, "email": account.email}
    else:
        entry |= {"outcome": "excluded", "reason": rated.excluded_reason or "parked"}
    rated_as = Change(
        roster=[entry], lines=[lines.stored_line(line) for line in rated.lines], rated_in=int(bill.rating)
    )
    if bill.version is not None:
        return Update(get_part(EVERYTHING, bill, 1), rated_as)
    return Put(BillPart(keys.bill_parts(bill.node, bill.sk), keys.bill_part(1), **rated_as), taken=Overtaken)


def _written(bill: Bill, change: Change) -> Write:
    """The change of a bill that exists already, or a new bill as it is with the change."""
    if bill.version is not None:
        return Update(bill, change)
    for name, value in change.items():
        setattr(bill, name, value)
    return Put(bill, taken=Overtaken)
