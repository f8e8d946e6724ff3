"""Going through credit notes, and through the ledger entry by entry."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

from portal import keys
from portal.billing import records
from portal.billing.issue import midnight
from portal.billing.reconciliation import documents, ledger
from portal.billing.reconciliation.bill_steps import entries
from portal.billing.reconciliation.findings import Findings
from portal.billing.reconciliation.records import (
    known_documents,
    list_credit_notes_behind,
    list_ledger_behind,
)
from portal.billing.reconciliation.walk import AT_ONCE, Place, Walk
from portal.billing.records import CreditNote
from portal.payments.records import find_credit_balance
from portal.scope import EVERYTHING


def credit_notes(walk: Walk, place: Place) -> Iterator[Place]:
    """All of a distributor's."""
    for note in list_credit_notes_behind(EVERYTHING, walk.of, place.after):
        walk.check(partial(_note, walk, note))
        yield Place(stage=place.stage, after=note.sk)


def _note(walk: Walk, note: CreditNote, again: bool) -> Findings:
    bill = records.find_bill(EVERYTHING, walk.of, note.bill_sk)
    yield from documents.check_note(note, bill, walk.last_number("credit-notes", again))
    yield from ledger.check_note(note, entries(walk, note.reference, note.issued_on, again))
    if bill is not None and not bill.credited_minor:
        yield from documents.check_credited(bill, [note])


def ledger_entries(walk: Walk, place: Place) -> Iterator[Place]:
    """Every entry by itself; where it is gone through from the beginning, also what is owed back by all."""
    after, owed_back = place.after, place.owed_back
    if not after and not walk.full:
        after = keys.ledger(midnight(walk.since))
    before = find_credit_balance(EVERYTHING, walk.of)
    found = list_ledger_behind(EVERYTHING, walk.of, after)
    while some := list(islice(found, AT_ONCE)):
        known = known_documents(EVERYTHING, walk.of, {each.document for each in some})
        for each in some:
            walk.take(ledger.check_entry(each, known))
            owed_back -= ledger.balance_of(each, "credit_balance")
        yield Place(stage=place.stage, after=some[-1].sk, owed_back=owed_back)
    now = find_credit_balance(EVERYTHING, walk.of)
    # What is paid while the ledger is read is compared the next time.
    if walk.full and (before and before.version) == (now and now.version):
        walk.take(ledger.check_balance(owed_back, int(now.amount_minor) if now else 0))
