"""The ledger against the documents: every entry sums to zero, every document is booked once, for what it says."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from portal.billing.reconciliation.documents import name_of
from portal.billing.reconciliation.findings import Finding, Findings

if TYPE_CHECKING:
    from portal.billing.records import Bill, CreditNote, LedgerEntry, Payment


def check_entry(entry: "LedgerEntry", known: Collection[str]) -> Findings:
    """B7 of one entry. `known` are the documents that there are."""
    if sum(minor for _, minor in entry.postings):
        yield Finding("B7", f"entry {entry.sk}", f"Its postings do not sum to zero: {entry.postings}.")
    if entry.document not in known:
        yield Finding("B7", f"entry {entry.sk}", f"It books {entry.document}, which there is not.")


def check_bill(bill: "Bill", entries: Iterable["LedgerEntry"], payments: Sequence["Payment"]) -> Findings:
    """B3 and B7: the bill is booked once, as it stands, and each of its payments is."""
    booked = _balances(entries)
    name = name_of(bill)
    for account, minor in (("revenue", -int(bill.net_minor)), ("tax", -int(bill.tax_minor))):
        if booked[account] != minor:
            yield Finding("B3", name, f"It is booked with a {account} of {booked[account]}, not {minor}.")
    owed = int(bill.total_minor - bill.paid_minor)
    if booked["receivable"] != owed:
        yield Finding(
            "B7", name, f"The ledger says that {booked['receivable']} is owed before credit, not {owed}."
        )
    received = sum(int(each.amount_minor) for each in payments if each.paid_by != "credit_balance")
    if booked["bank"] + booked["provider"] != received:
        yield Finding(
            "B7",
            name,
            f"The ledger says that {booked['bank'] + booked['provider']} was received, not {received}.",
        )


def check_note(note: "CreditNote", entries: Iterable["LedgerEntry"]) -> Findings:
    """Likewise of a credit note."""
    booked = _balances(entries)
    expected = {
        "receivable": -int(note.total_minor),
        "revenue": int(note.net_minor),
        "tax": int(note.tax_minor),
    }
    if any(booked[account] != minor for account, minor in expected.items()):
        yield Finding(
            "B3", f"credit note {note.reference}", f"It is booked as {dict(booked)}, not {expected}."
        )


def check_balance(owed_back: int, kept: int) -> Findings:
    """B7: what the ledger owes back to the distributor is its credit balance."""
    if owed_back != kept:
        yield Finding("B7", "credit balance", f"It is {kept}, and {owed_back} by the ledger.")


def balance_of(entry: "LedgerEntry", account: str) -> int:
    """What an entry posts to one ledger account."""
    return sum(minor for posted_to, minor in entry.postings if posted_to == account)


def _balances(entries: Iterable["LedgerEntry"]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for entry in entries:
        for account, minor in entry.postings:
            sums[account] += minor
    return sums
