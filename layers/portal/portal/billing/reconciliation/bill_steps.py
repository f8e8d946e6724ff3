"""Going through bills.

A sound bill costs itself, its parts, payments and charge, its two references and its entries in the ledger; and, for
each account on its roster, the account.
"""

from collections.abc import Iterator
from datetime import date
from itertools import islice

from portal import keys
from portal.accounts.records import DirectoryEntry, find_accounts_at, list_directory
from portal.billing import digests, records
from portal.billing.issue import midnight
from portal.billing.monthly import earlier_bills
from portal.billing.reconciliation import accounts, documents, ledger, payments
from portal.billing.reconciliation.findings import Findings
from portal.billing.reconciliation.records import (
    find_references,
    list_bills_from,
    list_directory_between,
    list_parts_between,
)
from portal.billing.reconciliation.walk import AT_ONCE, Parts, Place, Walk
from portal.billing.records import Bill, BillPart, LedgerEntry
from portal.distributors.records import get_schedule
from portal.payments.records import find_charge
from portal.periods import period_ending
from portal.scope import EVERYTHING
from portal.tree import Node

_PARTS_AT_ONCE = 5


def recent_bills(walk: Walk, place: Place) -> Iterator[Place]:
    """All bills from a day on, by period; what is to be billed next before them."""
    if not place.after:
        walk.check(lambda _: _schedule(walk))
    for bill in list_bills_from(EVERYTHING, walk.of, walk.since, place.after):
        yield from _bill(walk, bill, place)
        place = Place(stage=place.stage, after=bill.sk)
        yield place


def open_bills(walk: Walk, place: Place) -> Iterator[Place]:
    """Those that are older, and not settled yet."""
    first, _ = keys.bills_from(walk.since)
    older = (bill.sk for bill in records.list_open_bills(EVERYTHING, walk.of) if bill.sk < first)
    for sk in sorted(older):
        bill = records.find_bill(EVERYTHING, walk.of, sk) if sk > place.after else None
        if bill is not None:
            yield from _bill(walk, bill, place)
            place = Place(stage=place.stage, after=sk)
            yield place


def _bill(walk: Walk, bill: Bill, place: Place) -> Iterator[Place]:
    """One bill; what will not change any more part by part."""
    is_rated = bill.reference is not None or bill.state == "nothing_to_bill"
    parts = place.parts if place.parts and place.parts.bill_sk == bill.sk else Parts(bill_sk=bill.sk)
    while is_rated and parts.done < bill.part_count:
        for part in _some_parts(bill, parts.done):
            _part(walk, bill, part, parts)
        parts.done += _PARTS_AT_ONCE
        yield place.model_copy(update={"parts": parts})
    if is_rated and bill.bill_kind == "monthly":
        walk.check(lambda _: _behind_the_roster(walk, bill, parts.last_account))
    walk.check(lambda again: _whole(walk, bill, parts, again))


def _some_parts(bill: Bill, done: int) -> Iterator[BillPart]:
    """The next few; with the last ones also any that a bill should not have."""
    is_end = done + _PARTS_AT_ONCE >= bill.part_count
    return list_parts_between(EVERYTHING, bill, done + 1, None if is_end else done + _PARTS_AT_ONCE)


def _part(walk: Walk, bill: Bill, part: BillPart, parts: Parts) -> None:
    after, lines = parts.last_account, list(part.lines)
    walk.check(lambda _: _accounts_of(walk, bill, part, after))
    parts.digest = digests.with_part(parts.digest, part)
    parts.net += sum(line["amount"] for line in lines)
    parts.line_count += len(lines)
    parts.negative |= any(line["amount"] < 0 or line["quantity"].startswith("-") for line in lines)
    told_apart = {(line["account_id"], line["service"], line["kind"]) for line in lines}
    parts.duplicate |= len(told_apart) < len(lines)
    parts.last_account = max([after, *(entry["account_id"] for entry in part.roster)])


def _accounts_of(walk: Walk, bill: Bill, part: BillPart, after: str) -> Findings:
    """The accounts of a part, as they are now."""
    nodes = {
        entry["account_id"]: Node(walk.of.distributor, entry["partner_id"], entry["account_id"])
        for entry in part.roster
    }
    yield from accounts.check_roster(bill, part.roster, part.lines, after)
    known = find_accounts_at(EVERYTHING, nodes.values())
    for entry in part.roster:
        if account := known.get(nodes[entry["account_id"]]):
            lines = [line for line in part.lines if line["account_id"] == entry["account_id"]]
            yield from accounts.check_lines(bill, account, lines, walk.now)
            yield from accounts.check_left_out(bill, account, entry.get("reason"), walk.now)
    if bill.bill_kind == "monthly" and nodes:
        among = list_directory_between(EVERYTHING, walk.of, after, max(nodes))
        left_out = [each for each in among if each.account_id not in {after, *nodes}]
        yield from _missing(walk, bill, left_out)


def _behind_the_roster(walk: Walk, bill: Bill, last: str) -> Findings:
    """Ids sort by time: whoever is missing at the end of a roster follows it at once."""
    yield from _missing(walk, bill, list(islice(list_directory(EVERYTHING, walk.of, after=last), AT_ONCE)))


def _missing(walk: Walk, bill: Bill, entries: list[DirectoryEntry]) -> Findings:
    found = find_accounts_at(EVERYTHING, [each.account_node for each in entries])
    yield from accounts.check_missing(bill, found.values(), walk.now)


def _whole(walk: Walk, bill: Bill, parts: Parts, again: bool) -> Findings:
    """A bill as a whole, read anew the second time."""
    if again:
        bill = records.get_bill_at(EVERYTHING, walk.of, bill.sk)
    received, charge = list(records.list_payments(EVERYTHING, bill)), find_charge(EVERYTHING, bill)
    yield from _key_and_period(walk, bill)
    yield from documents.check_state(bill, walk.now, held=walk.is_excused)
    yield from payments.check_received(bill, received, charge)
    if bill.reference is None or bill.issued_on is None:
        return
    last = walk.last_number("bills", again)
    yield from documents.check_number(bill, find_references(EVERYTHING, bill), last)
    yield from documents.check_digest(bill, parts.digest)
    yield from documents.check_sums(bill, parts.net, parts.line_count)
    earlier = earlier_bills(walk.distributor, bill) if bill.bill_kind == "monthly" else ()
    yield from documents.check_rails(
        bill, negative=parts.negative, duplicate=parts.duplicate, earlier=earlier
    )
    if not walk.is_excused:
        yield from payments.check_attended(bill, charge, walk.now)
    if bill.credited_minor:
        notes = list(records.list_credit_notes(EVERYTHING, walk.of, bill.reference))
        yield from documents.check_credited(bill, notes)
    yield from ledger.check_bill(bill, entries(walk, bill.reference, bill.issued_on, again), received)
    if bill.issued_on > walk.since and payments.were_at_provider(received) and walk.intents is not None:
        yield from payments.check_recorded(bill, received, walk.intents)


def entries(walk: Walk, document: str, issued_on: date, again: bool) -> list[LedgerEntry]:
    """What is booked of a document: by the index, and by the table itself to make sure."""
    if not again:
        return list(records.list_ledger_of(EVERYTHING, walk.of, document))
    found = records.list_ledger(EVERYTHING, walk.of, since=midnight(issued_on))
    return [each for each in found if each.document == document]


def _key_and_period(walk: Walk, bill: Bill) -> Findings:
    if bill.bill_kind == "annual":
        expected = records.bill_key("annual", bill.period_start_on, bill.account_id or "")
        yield from documents.check_key(bill, expected, ())
        return
    of_period = records.list_consolidated_bills(EVERYTHING, walk.of, bill.period_end_on)
    expected = records.bill_key("monthly", bill.period_end_on, bill.bill_method)
    yield from documents.check_key(bill, expected, of_period)
    is_billed = _is_billed_until(walk, bill.period_start_on)
    yield from documents.check_period(bill, int(walk.distributor.payment_day), is_billed)


def _is_billed_until(walk: Walk, on: date) -> bool:
    if on == walk.distributor.billed_from_on:
        return True
    return bool(records.list_consolidated_bills(EVERYTHING, walk.of, on))


def _schedule(walk: Walk) -> Findings:
    schedule = get_schedule(EVERYTHING, walk.of, "monthly")
    due_on, day = schedule.due_at.date(), int(walk.distributor.payment_day)
    bill = records.find_bill(EVERYTHING, walk.of, schedule.bill_sk) if schedule.bill_sk else None
    waits = walk.is_excused or (bill is not None and bill.state == "parked")
    is_late = schedule.due_at < walk.now - documents.PATIENCE and not waits
    try:
        is_billed = _is_billed_until(walk, period_ending(day, due_on).start)
    except ValueError:
        is_billed = False
    yield from documents.check_schedule(due_on, day, is_billed, is_late)
