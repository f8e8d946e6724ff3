"""That a distributor is held; and what reconciliation reads of others' records, many at a time."""

from collections.abc import Iterable, Iterator
from datetime import date

from pynamodb.attributes import UnicodeAttribute

from portal import keys
from portal.accounts.records import DirectoryEntry
from portal.billing.records import (
    Bill,
    BillPart,
    BillReference,
    CreditNote,
    CreditNoteNumber,
    LedgerEntry,
    find_bill,
)
from portal.scope import Scope
from portal.table import InstantAttribute, Item, JsonAttribute, find, find_many, query, query_between
from portal.tree import Node


class Hold(Item, discriminator="hold"):
    """That a distributor is held, or was once. Under the vendor: what was found of the numbers of all."""

    parked_id = UnicodeAttribute(null=True)
    """What stands for it on the operators' list; None while the distributor is not held."""
    since = InstantAttribute(null=True)
    lifted_at = InstantAttribute(null=True)
    """When an operator last let the books go."""
    released = JsonAttribute(null=True)
    """The keys of what was found and let go."""

    @property
    def is_on(self) -> bool:
        return self.parked_id is not None


def find_hold(scope: Scope, distributor: Node) -> Hold | None:
    """The hold of a distributor that is held; None for everybody else."""
    hold = find_record(scope, distributor)
    return hold if hold is not None and hold.is_on else None


def find_record(scope: Scope, of: Node) -> Hold | None:
    """The same, also where it was let go."""
    return find(Hold, keys.node(scope.reach(of)), keys.HOLD)


def list_bills_from(scope: Scope, distributor: Node, since: date, after: str = "") -> Iterator[Bill]:
    """The bills from a day on, or behind one of them, by period."""
    first, last = keys.bills_from(since)
    found = query_between(Bill, keys.node(scope.reach(distributor)), after or first, last)
    return (bill for bill in found if bill.sk != after)


def list_parts_between(scope: Scope, bill: Bill, first: int, last: int | None) -> Iterator[BillPart]:
    """Some parts of a bill; without `last` all from the first on."""
    numbers = keys.bill_part(first), keys.bill_part(keys.MOST_PARTS if last is None else last)
    return query_between(BillPart, keys.bill_parts(scope.reach(bill.node), bill.sk), *numbers)


def list_directory_between(
    scope: Scope, distributor: Node, first: str, last: str
) -> Iterator[DirectoryEntry]:
    """Whom a distributor has from one account id to another, both included."""
    pk = keys.node(scope.reach(distributor))
    return query_between(DirectoryEntry, pk, keys.directory(first), keys.directory(last))


def find_references(scope: Scope, bill: Bill) -> list[BillReference | None]:
    """Whose a bill's number is: in the distributor's partition, and under the number itself."""
    where = [
        (keys.node(scope.reach(bill.node)), keys.reference(bill.reference)),
        keys.reference_path(bill.reference),
    ]
    found = find_many(BillReference, where)
    return [found.get(each) for each in where]


def find_by_reference(scope: Scope, distributor: Node, reference: str) -> Bill | None:
    known = find(BillReference, keys.node(scope.reach(distributor)), keys.reference(reference))
    return find_bill(scope, distributor, known.bill_sk) if known else None


def find_numbered(scope: Scope, numbers: Iterable[int]) -> dict[int, Bill]:
    """The bills, of whatever distributor, that these numbers lead to."""
    where = {keys.reference_path(str(number)): number for number in numbers}
    known = find_many(BillReference, where)
    bills = {
        where[key]: (keys.node(scope.reach(Node(each.distributor_id))), each.bill_sk)
        for key, each in known.items()
    }
    found = find_many(Bill, bills.values())
    return {number: found[key] for number, key in bills.items() if key in found}


def list_credit_notes_behind(scope: Scope, distributor: Node, after: str) -> Iterator[CreditNote]:
    """All of a distributor's, or those behind one of them."""
    return query(CreditNote, keys.node(scope.reach(distributor)), keys.credit_note(), after=after)


def list_ledger_behind(scope: Scope, distributor: Node, after: str) -> Iterator[LedgerEntry]:
    """Likewise the entries of the ledger."""
    return query(LedgerEntry, keys.node(scope.reach(distributor)), keys.ledger(), after=after)


def known_documents(scope: Scope, distributor: Node, numbers: set[str]) -> set[str]:
    """Which of these are numbers of the distributor's bills or credit notes."""
    pk = keys.node(scope.reach(distributor))
    bills = {(pk, keys.reference(each)): each for each in numbers}
    found = {bills[key] for key in find_many(BillReference, bills)}
    notes = {(pk, keys.credit_note_number(each)): each for each in numbers - found}
    return found | {notes[key] for key in find_many(CreditNoteNumber, notes)}
