"""What is stored of money: usage, prices, bills with their parts, payments, ledger."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from portal import keys
from portal.errors import Conflict, NotFound
from portal.scope import Scope
from portal.table import (
    Contended,
    DateAttribute,
    DecimalAttribute,
    InstantAttribute,
    Item,
    JsonAttribute,
    PackedJsonAttribute,
    find,
    find_many,
    query,
    query_back,
    query_between,
    query_index,
)
from portal.tree import Node


class Overtaken(Conflict, Contended):
    """A copy of the same run has put this record first: read again and go on from there."""


class Usage(Item, discriminator="usage"):
    """An account's daily billable counts per service, and from which day on they have to be taken anew."""

    partner_id = UnicodeAttribute()
    facts = PackedJsonAttribute()
    """`{service: [[day, count, recorded_at], ...]}`: appended, never edited; see `portal.billing.usage`."""
    unsettled_from_on = DateAttribute(null=True)
    """The earliest day whose count an engine event has touched since the last snapshot."""
    entities_from_on = DateAttribute(null=True)
    """The day of the first engine event about an entity."""
    snapshots = NumberAttribute(default=0)
    """How many were taken: tells one that was overtaken by another."""
    weighed_by = JsonAttribute(null=True)
    """The weights of the last snapshot, where they are not the usual ones; see `portal.billing.weighing`."""
    closed = BooleanAttribute(default=False)
    """The account's entities are deleted: its facts are final."""
    tidy_on = DateAttribute(null=True)
    """The first day on which what a deleted task left behind is needed no longer."""

    @property
    def node(self) -> Node:
        """The account that it is of."""
        _, account_id = keys.split(self.sk)
        return Node(keys.node_of(self.pk).distributor, self.partner_id, account_id)

    def distributor_key(self) -> tuple[str, str] | None:
        if self.unsettled_from_on is None and self.tidy_on is None:
            return None
        return keys.by_distributor(self.node, "USAGE", "ACCOUNT", self.node.account)


class PriceBookRecord(Item, discriminator="prices"):
    """A distributor's prices in effect from a date on. Once in effect never changed: new prices are a new version."""

    effective_on = DateAttribute()
    prices = JsonAttribute()
    """See `portal.billing.prices`."""


class PaymentDetailsRecord(Item, discriminator="payment-details"):
    """Who pays a distributor's bills, and where they go."""

    form = JsonAttribute()
    """See `portal.billing.details`."""
    address = JsonAttribute()
    """Its lines as bills show them."""


class Bill(Item, discriminator="bill"):
    """A consolidated bill or an annual invoice.

    `state`: `draft`, `parked` (waits for an operator), `issued`, `overdue`, `paid`, `credited` (what was still owed was
    credited), `nothing_to_bill` (a period without a line, recorded so that it is not looked at again). Amounts are minor
    units. Once issued only `state`, what is paid and credited, and the reminder fields move.
    """

    bill_kind = UnicodeAttribute()
    """`monthly` or `annual`."""
    bill_method = UnicodeAttribute()
    """How it is to be paid: `invoice` or `credit_card`."""
    state = UnicodeAttribute()
    period_start_on = DateAttribute()
    period_end_on = DateAttribute()
    """Exclusive."""
    currency = UnicodeAttribute()
    payer = JsonAttribute()
    """Who is billed, frozen when the draft was made: name, e-mail, address, tax id."""
    seller = JsonAttribute(null=True)
    """Who bills, frozen likewise; see `portal.billing.seller`."""
    prices = JsonAttribute()
    """The price book it is rated with, frozen likewise; see `portal.billing.drafts`."""
    tax_rate = DecimalAttribute()
    tax_name = UnicodeAttribute(null=True)
    reverse_charge = BooleanAttribute(default=False)
    account_id = UnicodeAttribute(null=True)
    """Annual invoices: whose it is."""
    partner_id = UnicodeAttribute(null=True)
    rostered_to = UnicodeAttribute(null=True)
    """Id of the last account that the roster holds so far."""
    part_count = NumberAttribute(default=0)
    roster_complete = BooleanAttribute(default=False)
    rating = NumberAttribute(default=1)
    """Counts the ratings: one more each time an operator has the whole bill rated anew."""
    recounts = NumberAttribute(default=0)
    """How often it was gone through again since, because the engine had told of its days after they were rated."""
    rated_to = NumberAttribute(default=0)
    """Number of the last part that is rated and counted in the sums below."""
    line_count = NumberAttribute(default=0)
    concerns = JsonAttribute(null=True)
    """Reasons to park it that rating its parts has shown so far."""
    parts_digest = UnicodeAttribute(null=True)
    """Of the parts rated so far; see `portal.billing.digests`."""
    digest = UnicodeAttribute(null=True)
    """Of all that was issued, written when it was."""
    follow_up_parts = JsonAttribute(null=True)
    """Numbers of the parts with accounts that its issue changes (`portal.billing.follow_up`)."""
    reference = UnicodeAttribute(null=True)
    issued_on = DateAttribute(null=True)
    due_on = DateAttribute(null=True)
    net_minor = NumberAttribute(default=0)
    tax_minor = NumberAttribute(default=0)
    total_minor = NumberAttribute(default=0)
    paid_minor = NumberAttribute(default=0)
    payment_count = NumberAttribute(default=0)
    """How many payments were recorded for it: the next one's receipt is numbered by it."""
    credited_minor = NumberAttribute(default=0)
    paid_on = DateAttribute(null=True)
    parked_because = JsonAttribute(null=True)
    reminders_sent = NumberAttribute(default=0)
    look_at = InstantAttribute(null=True)
    """When the overdue job has to look at it next."""

    @property
    def outstanding_minor(self) -> int:
        return int(self.total_minor - self.paid_minor - self.credited_minor)

    @property
    def account_node(self) -> Node | None:
        """Whose annual invoice it is."""
        return (
            Node(self.node.distributor, self.partner_id or "", self.account_id) if self.account_id else None
        )

    @property
    def is_open(self) -> bool:
        return self.state in ("issued", "overdue")

    def distributor_key(self) -> tuple[str, str] | None:
        if not self.is_open or self.due_on is None:
            return None
        return keys.by_distributor(self.node, "OPEN", self.due_on.isoformat(), self.sk)

    def due_key(self) -> tuple[str, str] | None:
        if self.look_at is None:
            return None
        return keys.by_due("bill", self.look_at, f"{self.node.distributor}/{self.sk}")


class BillPart(Item, discriminator="bill-part"):
    """Up to 100 accounts of a bill: the roster and, once rated, what became of each and its lines."""

    roster = JsonAttribute()
    """What became of each account; see `portal.billing.lines`."""
    lines = JsonAttribute()
    """See `portal.billing.lines`."""
    partners = JsonAttribute(null=True)
    """How the partners of these accounts were called when it was rated: `{partner_id: {"name", "code"}}`."""
    rated_in = NumberAttribute(default=0)
    """In which of the bill's ratings this was written; 0: not rated yet."""
    snapshots = JsonAttribute(null=True)
    """How many snapshots of its usage there had been when each account on the roster was rated; None for one whose usage
    nobody looked at.
    """


class Payment(Item, discriminator="payment"):
    """Money received for a bill, and what its receipt says. It never changes. Amounts are minor units."""

    payment_id = UnicodeAttribute()
    """The payment provider's `pi_...` for what was paid there: so that it is recorded once."""
    amount_minor = NumberAttribute()
    """All that was received."""
    excess_minor = NumberAttribute(default=0)
    """What of it was more than the bill asked for: it went to the distributor's credit balance."""
    owed_minor = NumberAttribute(default=0)
    """What was still owed on the bill after it."""
    currency = UnicodeAttribute()
    received_on = DateAttribute()
    paid_by = UnicodeAttribute()
    """`bank_transfer`, `credit_card`, `payment_page` or `credit_balance`."""
    receipt = UnicodeAttribute()
    """Number of its receipt: the bill's, and which of its payments it is: `80035-1`."""
    note = UnicodeAttribute(null=True)


class CreditNote(Item, discriminator="credit-note"):
    """What was taken off a bill. It never changes. Amounts are minor units, what is credited positive."""

    reference = UnicodeAttribute()
    bill_sk = UnicodeAttribute()
    bill_reference = UnicodeAttribute()
    bill_issued_on = DateAttribute()
    issued_on = DateAttribute()
    period_start_on = DateAttribute()
    period_end_on = DateAttribute()
    """Exclusive; of the bill."""
    reason = UnicodeAttribute()
    currency = UnicodeAttribute()
    payer = JsonAttribute()
    seller = JsonAttribute()
    tax_rate = DecimalAttribute()
    tax_name = UnicodeAttribute(null=True)
    reverse_charge = BooleanAttribute(default=False)
    """Payer, seller and tax are the bill's."""
    net_minor = NumberAttribute()
    tax_minor = NumberAttribute()
    total_minor = NumberAttribute()
    digest = UnicodeAttribute(null=True)
    """Of all that it says; see `portal.billing.digests`."""
    roster = JsonAttribute()
    lines = JsonAttribute()
    """The lines that were corrected, as `portal.billing.lines` has them; the quantity and amount are what is credited.
    None where an amount was credited as a whole.
    """
    partners = JsonAttribute(null=True)


class LedgerEntry(Item, discriminator="ledger"):
    """Postings that sum to zero: `[[ledger account, minor units], ...]`."""

    postings = JsonAttribute()
    currency = UnicodeAttribute()
    document = UnicodeAttribute()

    def distributor_key(self) -> tuple[str, str]:
        return keys.by_distributor(self.node, "LEDGER", self.document, self.sk)


class BillReference(Item, discriminator="reference"):
    """Which bill has a reference number: in the distributor's partition, where it is a row of the billing history too, and
    for operators under the number itself.
    """

    distributor_id = UnicodeAttribute()
    bill_sk = UnicodeAttribute()
    issued_on = DateAttribute()

    def distributor_key(self) -> tuple[str, str] | None:
        if not self.node.distributor:
            return None
        return keys.issued_bill(self.node, self.issued_on, keys.split(self.sk)[-1])


class CreditNoteNumber(Item, discriminator="credit-note-number"):
    """Which credit note has a number."""

    credit_note_sk = UnicodeAttribute()


class Sequence(Item, discriminator="sequence"):
    """The last number given out of a gapless sequence."""

    last = NumberAttribute()


def new_usage(account: Node, **values: Any) -> Usage:
    return Usage(*keys.usage(account), partner_id=account.partner, **{"facts": {}, **values})


def find_usage(scope: Scope, account: Node) -> Usage | None:
    return find(Usage, *keys.usage(scope.reach(account)))


def get_usage(scope: Scope, account: Node) -> Usage:
    """The usage of an account; every account has one until it is purged.

    Raises:
        NotFound: it is.
    """
    found = find_usage(scope, account)
    if found is None:
        raise NotFound
    return found


def find_usages(scope: Scope, accounts: Iterable[Node]) -> dict[Node, Usage]:
    """The usage of these accounts as it is now, each paid for by itself; for accounts in a row see `list_usages`."""
    wanted = [keys.usage(scope.reach(node)) for node in accounts]
    return {usage.node: usage for usage in find_many(Usage, wanted).values()}


def list_usages(scope: Scope, accounts: Iterable[Node]) -> dict[Node, Usage]:
    """The usage of accounts of one distributor that follow each other by id, as it is now.

    All that lies between the first and the last is read, and paid for by its size.
    """
    wanted = {keys.usage(scope.reach(node))[1]: node for node in accounts}
    if not wanted:
        return {}
    pk, _ = keys.usage(next(iter(wanted.values())))
    found = query_between(Usage, pk, min(wanted), max(wanted))
    return {wanted[usage.sk]: usage for usage in found if usage.sk in wanted}


def list_unsettled_usages(scope: Scope, distributor: Node) -> Iterator[Usage]:
    """Usage with days to be counted anew, or with something left of deleted tasks; by account id."""
    pk, prefix = keys.by_distributor(scope.reach(distributor), "USAGE", "ACCOUNT")
    return query_index(Usage, "by_distributor", pk, prefix)


def list_price_books(scope: Scope, distributor: Node) -> list[PriceBookRecord]:
    """All versions, oldest first."""
    return list(query(PriceBookRecord, keys.node(scope.reach(distributor)), keys.prices()))


def find_payment_details(scope: Scope, distributor: Node) -> PaymentDetailsRecord | None:
    """None until the distributor has given them."""
    return find(PaymentDetailsRecord, keys.node(scope.reach(distributor)), keys.PAYMENT_DETAILS)


def find_bill(scope: Scope, distributor: Node, bill_sk: str) -> Bill | None:
    return find(Bill, keys.node(scope.reach(distributor)), bill_sk)


def get_bill(scope: Scope, reference: str) -> Bill:
    """The issued bill with this number, of the scope's distributor or, for operators, of any.

    Raises:
        NotFound: no bill has that number, or it is another distributor's.
    """
    own = keys.node(scope.top), keys.reference(reference)
    found = find(BillReference, *(own if scope.top.distributor else keys.reference_path(reference)))
    bill = found and find_bill(scope, Node(found.distributor_id), found.bill_sk)
    if not bill:
        raise NotFound
    return bill


def get_bill_at(scope: Scope, distributor: Node, bill_sk: str) -> Bill:
    """A bill that something in the table names, issued or not."""
    found = find_bill(scope, distributor, bill_sk)
    if found is None:
        raise NotFound
    return found


def list_bills(scope: Scope, distributor: Node, *, limit: int | None = None) -> Iterator[Bill]:
    """A distributor's bills, latest period first, drafts and parked ones included."""
    return query(Bill, keys.node(scope.reach(distributor)), keys.bill(), newest_first=True, limit=limit)


_LAST_NUMBER = "~" * 12
"""Sorts after all."""


def list_references(
    scope: Scope, distributor: Node, since: date, until: date, *, behind: str, at_once: int
) -> Iterator[BillReference]:
    """The numbers of the bills issued on these days, both included, latest first, `at_once` read in a request; those
    behind a place (`distributor_sk`) where one is given. An index: for showing, not for deciding.
    """
    pk, first = keys.issued_bill(scope.reach(distributor), since)
    last = behind or keys.issued_bill(distributor, until, _LAST_NUMBER)[1]
    # Both ends belong to a range, so the one at `behind` comes too, first, and is left out.
    read = at_once + bool(behind)
    found = query_back(BillReference, pk, first, last, index="by_distributor", at_once=read)
    return (each for each in found if each.distributor_sk != behind)


def find_bills(scope: Scope, distributor: Node, bill_sks: Iterable[str]) -> dict[str, Bill]:
    """Bills as they are now, by sort key."""
    partition = keys.node(scope.reach(distributor))
    found = find_many(Bill, ((partition, bill_sk) for bill_sk in bill_sks))
    return {bill.sk: bill for bill in found.values()}


def list_consolidated_bills(scope: Scope, distributor: Node, period_end_on: date) -> list[Bill]:
    """The consolidated bills of one period: one for each method that was used in it."""
    return list(query(Bill, keys.node(scope.reach(distributor)), keys.bill(period_end_on, "monthly")))


def list_open_bills(scope: Scope, distributor: Node) -> Iterator[Bill]:
    """What a distributor owes, the earliest due first. An index: for showing, not for deciding."""
    pk, _ = keys.by_distributor(scope.reach(distributor), "OPEN")
    return query_index(Bill, "by_distributor", pk)


def list_parts(scope: Scope, bill: Bill) -> Iterator[BillPart]:
    """The parts of a bill in order, read consistently."""
    node = scope.reach(bill.node)
    return query(BillPart, keys.bill_parts(node, bill.sk), keys.bill_part())


def get_part(scope: Scope, bill: Bill, number: int) -> BillPart:
    """One part of a bill, counted from 1."""
    found = find(BillPart, keys.bill_parts(scope.reach(bill.node), bill.sk), keys.bill_part(number))
    if found is None:
        raise NotFound
    return found


def find_first_parts(scope: Scope, bills: Iterable[Bill]) -> dict[str, BillPart]:
    """The first part of each of these bills, by the bill's sort key: all there is of an annual invoice."""
    by_partition = {keys.bill_parts(scope.reach(bill.node), bill.sk): bill.sk for bill in bills}
    found = find_many(BillPart, ((partition, keys.bill_part(1)) for partition in by_partition))
    return {by_partition[part.pk]: part for part in found.values()}


def list_payments(scope: Scope, bill: Bill) -> Iterator[Payment]:
    node = scope.reach(bill.node)
    return query(Payment, keys.bill_parts(node, bill.sk), keys.payment())


def find_payment(scope: Scope, bill: Bill, payment_id: str) -> Payment | None:
    """None where it is not recorded for this bill."""
    return find(Payment, keys.bill_parts(scope.reach(bill.node), bill.sk), keys.payment(payment_id))


def list_credit_notes(scope: Scope, distributor: Node, bill_reference: str = "") -> Iterator[CreditNote]:
    """The credit notes for one bill in the order of their numbers, or all of a distributor's by bill."""
    return query(CreditNote, keys.node(scope.reach(distributor)), keys.credit_note(bill_reference))


def get_credit_note(scope: Scope, reference: str) -> CreditNote:
    """The credit note with this number, of the scope's distributor.

    Raises:
        NotFound: none of its has that number.
    """
    known = find(CreditNoteNumber, keys.node(scope.top), keys.credit_note_number(reference))
    found = known and find(CreditNote, keys.node(scope.top), known.credit_note_sk)
    if not found:
        raise NotFound
    return found


def find_sequence(name: str) -> Sequence | None:
    return find(Sequence, *keys.sequence(name))


def list_ledger(scope: Scope, distributor: Node, since: datetime | None = None) -> Iterator[LedgerEntry]:
    after = keys.ledger(since) if since else ""
    return query(LedgerEntry, keys.node(scope.reach(distributor)), keys.ledger(), after=after)


def list_ledger_of(scope: Scope, distributor: Node, document: str) -> Iterator[LedgerEntry]:
    """The entries of one document. An index: what is missed in it is looked for in `list_ledger`."""
    pk, prefix = keys.by_distributor(scope.reach(distributor), "LEDGER", document, "")
    return query_index(LedgerEntry, "by_distributor", pk, prefix)


def bill_key(kind: str, period_end_on: date, what: str) -> str:
    """The sort key of a bill: one per distributor, method and period, or per account and term."""
    return keys.bill(period_end_on, kind, what)
