"""The portal's books, line by line against the oracle's."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from portal.billing.lines import lines_of
from portal.billing.records import Bill as Record
from portal.billing.records import list_bills, list_ledger, list_parts
from portal.scope import EVERYTHING
from portal.tree import Node
from tests.simulation.oracle import Bill, Line, LineKey
from tests.simulation.play import Play

Key = tuple[str, str, Any]
FIRST_NUMBER = 10_001


@dataclass
class Comparison:
    bills: int = 0
    lines: int = 0
    net_by_currency: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def compare(play: Play) -> Comparison:
    """Everything that was ever billed."""
    found = Comparison(differences=list(play.differences))
    expected = play.oracle.bills()
    stored = {
        key_of(bill): bill for of in play.diary.distributors for bill in list_bills(EVERYTHING, Node(of))
    }
    issued = {key: bill for key, bill in stored.items() if bill.reference}
    waiting = {key for key, bill in expected.items() if bill.parked and key[1:] not in play.diary.released}
    found.differences += [f"{key}: not issued" for key in expected.keys() - issued.keys() - waiting]
    found.differences += [f"{key}: issued, and should not be" for key in issued.keys() - expected.keys()]
    found.differences += [f"{key}: issued, and should wait" for key in issued.keys() & waiting]
    found.differences += _unfinished(play, stored)
    by_reference = {}
    for key in sorted(issued.keys() & expected.keys(), key=str):
        bill = expected[key]
        by_reference[issued[key].reference] = bill
        found.bills += 1
        found.lines += len(bill.lines)
        found.differences += [f"{key}: {said}" for said in compare_bill(play, issued[key], bill)]
    settled = play.oracle.settle(by_reference)
    by_number = {bill.reference: bill for bill in issued.values()}
    for reference, right in settled.items():
        record = by_number[reference]
        paid, credited = int(record.paid_minor), int(record.credited_minor)
        if (paid, credited) != (right.paid, right.credited):
            found.differences.append(
                f"{reference}: paid {paid}, credited {credited}; should be {right.paid}, {right.credited}"
            )
    found.differences += _of_the_books(play, list(by_number.values()))
    return found


def _of_the_books(play: Play, issued: list[Record]) -> Iterator[str]:
    """The numbers have no gap, every entry sums to zero, and what is receivable is what the bills are owed."""
    numbers = sorted(int(bill.reference) for bill in issued if bill.reference)
    if numbers != list(range(FIRST_NUMBER, FIRST_NUMBER + len(numbers))):
        yield f"the numbers have gaps: {numbers}"
    for of in play.diary.distributors:
        receivable = 0
        for entry in list_ledger(EVERYTHING, Node(of)):
            if sum(minor for _, minor in entry.postings):
                yield f"{of}: an entry of {entry.document} does not sum to zero"
            receivable += sum(minor for account, minor in entry.postings if account == "receivable")
        bills = [bill for bill in issued if bill.node.distributor == of]
        owed = sum(int(bill.total_minor - bill.paid_minor - bill.credited_minor) for bill in bills)
        if receivable != owed:
            yield f"{of}: {receivable} receivable, {owed} owed"
        for bill in bills:
            settled = bill.total_minor == bill.paid_minor + bill.credited_minor
            if settled != (bill.state in ("paid", "credited")):
                yield f"{bill.reference} is {bill.state}"


def key_of(bill: Record) -> Key:
    """As the oracle names its bills."""
    if bill.bill_kind == "monthly":
        return "monthly", bill.node.distributor, bill.period_end_on
    return "annual", bill.account_id, bill.period_start_on


def compare_bill(play: Play, record: Record, bill: Bill) -> Iterator[str]:
    """In what an issued bill differs from what it should be."""
    key = key_of(record)
    begun = play.diary.billing_begun if bill.kind == "monthly" else play.diary.invoicing_begun
    issued_on = (play.diary.released.get(key[1:]) or begun[key[1:]]).date()
    currency = play.diary.distributors[bill.distributor_id].currency
    right = {
        "period_start_on": bill.start,
        "period_end_on": bill.end,
        "bill_method": bill.method,
        "currency": currency,
        "issued_on": issued_on,
        "due_on": issued_on + bill.due_after,
        "net_minor": bill.net,
        "tax_minor": bill.tax,
        "total_minor": bill.gross,
    }
    for name, value in right.items():
        if getattr(record, name) != value:
            yield f"{name} is {getattr(record, name)}, should be {value}"
    lines: dict[LineKey, Line] = {}
    for part in list_parts(EVERYTHING, record):
        for line in lines_of(part):
            line_key = line.account_id, line.service, line.kind
            if line_key in lines:
                yield f"{line_key} stands there twice"
            lines[line_key] = Line(
                Fraction(line.quantity),
                line.unit_price,
                Fraction(line.discount),
                line.days,
                line.of_days,
                line.amount,
            )
    for line_key in sorted(lines.keys() | bill.lines.keys()):
        if lines.get(line_key) != bill.lines.get(line_key):
            yield f"{line_key}: {lines.get(line_key)}, should be {bill.lines.get(line_key)}"


def _unfinished(play: Play, stored: dict[Key, Record]) -> Iterator[str]:
    """Consolidated bills: that periods abut, that each was gone through, and why accounts are not on them."""
    for of in play.diary.distributors:
        months = sorted(
            (bill for key, bill in stored.items() if key[0] == "monthly" and key[1] == of),
            key=lambda bill: bill.period_end_on,
        )
        for earlier, later in pairwise(months):
            if earlier.period_end_on != later.period_start_on:
                yield f"{of}: a gap between {earlier.period_end_on} and {later.period_start_on}"
        ended = {bill.period_end_on for bill in months}
        yield from (
            f"{of} {on}: no bill" for to, on in play.diary.billing_begun if to == of and on not in ended
        )
        for bill in months:
            if bill.state == "draft":
                yield f"{of} {bill.period_end_on}: still a draft"
            elif bill.state != "parked":
                yield from (f"{of} {bill.period_end_on}: {said}" for said in _left_out(play, bill))


def _left_out(play: Play, bill: Record) -> Iterator[str]:
    roster = [entry for part in list_parts(EVERYTHING, bill) for entry in part.roster]
    reasons = {entry["account_id"]: entry.get("reason", "") for entry in roster}
    if len(reasons) < len(roster):
        yield "an account stands twice on the roster"
    expected = play.oracle.left_out(bill.node.distributor, bill.period_end_on)
    for account_id, reason in expected.items():
        if account_id not in reasons:
            account = play.diary.accounts[account_id]
            if not _may_be_gone(play, account_id, bill):
                yield f"{account_id}, created {account.created_at}, is not on the roster"
        elif reasons[account_id] != reason:
            yield f"{account_id} is left out because {reasons[account_id]!r}, not {reason!r}"


def _may_be_gone(play: Play, account_id: str, bill: Record) -> bool:
    """Whether all of an account may be deleted by then: it was removed, or its trial ended long ago."""
    account = play.diary.accounts[account_id]
    begun = play.diary.billing_begun[bill.node.distributor, bill.period_end_on]
    expired = account.trial_ends_at is not None and account.trial_ends_at + timedelta(days=30) <= begun
    return account.removed_at is not None or expired
