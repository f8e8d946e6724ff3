"""What a bill's parts hold: the roster, and the lines of those accounts that are billed.

A part's `roster` is `[{"account_id", "partner_id", "outcome", "reason", "name", "email"}]`. The outcome is
empty until the part is rated, then `billed`, or `excluded` with a reason: `trial` (not subscribed on any day
of the period), `annual`, `removed`, `free`, or `parked` (a service it uses has no price). `"first": true`
marks an account that never was on a bill before, `"last": true` a removed one that no later bill will
concern.

A part's `lines` are `[{"account_id", "service", "kind", "quantity", "unit_price", "discount", "days",
"of_days", "amount"}]`: quantity and discount as decimal text, prices and amounts in minor units. Names stand
once, in the roster.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from portal.billing.rating import Line, Tax, Total
from portal.billing.seller import seller
from portal.money import Money
from portal.periods import Period

if TYPE_CHECKING:
    from portal.accounts.records import DirectoryEntry
    from portal.billing.records import Bill, BillPart, CreditNote


@dataclass(frozen=True, slots=True)
class CreditedBill:
    """The bill that a credit note is for."""

    reference: str
    issued_on: date
    reason: str


@dataclass(frozen=True, slots=True)
class FrozenBill:
    """An issued bill, or credit note, with all that its documents say. It never changes."""

    kind: str
    """`monthly`, `annual` or `credit_note`."""
    method: str
    """`invoice` or `credit_card`."""
    reference: str
    issued_on: date
    due_on: date
    period: Period
    seller: Mapping[str, Any]
    """See `portal.billing.seller`."""
    payer: Mapping[str, Any]
    """`name`, `email`, `country`, `address` (a list of lines or None), `tax_id` (or None)."""
    tax: Tax
    total: Total
    parts: Iterable["BillPart | CreditNote"]
    credited: "CreditedBill | None" = None
    """Credit notes: what bill, and why."""

    @property
    def lines(self) -> Iterator[Line]:
        """The lines in the order of the bill, read part by part: as often as `parts` can be gone through."""
        return (line for part in self.parts for line in lines_of(part))

    @property
    def partners(self) -> dict[str, Mapping[str, str]]:
        """How its accounts' partners were called: `name` and `code` by id; not the reserved direct one."""
        return {
            partner_id: named for part in self.parts for partner_id, named in (part.partners or {}).items()
        }


def frozen(bill: "Bill", parts: Iterable["BillPart"]) -> FrozenBill:
    """A bill as it was issued.

    Raises:
        ValueError: it was not issued yet.
    """
    if bill.reference is None or bill.issued_on is None or bill.due_on is None:
        raise ValueError(f"{bill.sk} of {bill.node} is not issued.")
    return FrozenBill(
        kind=bill.bill_kind,
        method=bill.bill_method,
        reference=bill.reference,
        issued_on=bill.issued_on,
        due_on=bill.due_on,
        period=Period(bill.period_start_on, bill.period_end_on),
        seller=bill.seller or seller(),
        payer=bill.payer,
        tax=tax_of(bill),
        total=total_of_bill(bill),
        parts=parts,
    )


def frozen_credit(note: "CreditNote") -> FrozenBill:
    """A credit note, whose lines and total are what it takes off."""
    return FrozenBill(
        kind="credit_note",
        method="",
        reference=note.reference,
        issued_on=note.issued_on,
        due_on=note.issued_on,
        period=Period(note.period_start_on, note.period_end_on),
        seller=note.seller,
        payer=note.payer,
        tax=tax_of(note),
        total=total_of_bill(note),
        parts=[note],
        credited=CreditedBill(note.bill_reference, note.bill_issued_on, note.reason),
    )


def tax_of(bill: "Bill | CreditNote") -> Tax:
    return Tax(bill.tax_rate, bill.tax_name or "", bool(bill.reverse_charge))


def total_of_bill(bill: "Bill | CreditNote") -> Total:
    """Net, tax and gross as they were frozen."""

    def money(minor: float) -> Money:
        return Money(int(minor), bill.currency)

    return Total(net=money(bill.net_minor), tax=money(bill.tax_minor), gross=money(bill.total_minor))


def lines_of(part: "BillPart | CreditNote") -> Iterator[Line]:
    """The lines of one part, or of a credit note."""
    entries = {entry["account_id"]: entry for entry in part.roster}
    for stored in part.lines:
        yield restored_line(stored, entries[stored["account_id"]])


def restored_line(stored: Mapping[str, Any], account: Mapping[str, str]) -> Line:
    """A line, with its account's `partner_id`, `name` and `email`, which are not in it."""
    return Line(
        account_id=stored["account_id"],
        partner_id=account["partner_id"],
        account_name=account["name"],
        account_email=account["email"],
        service=stored["service"],
        kind=stored["kind"],
        quantity=Decimal(stored["quantity"]),
        unit_price=stored["unit_price"],
        discount=Decimal(stored["discount"]),
        days=stored["days"],
        of_days=stored["of_days"],
        amount=stored["amount"],
    )


def stored_line(line: Line) -> dict[str, Any]:
    """A line as a part holds it; the inverse of `restored_line`."""
    return {
        "account_id": line.account_id,
        "service": line.service,
        "kind": line.kind,
        "quantity": f"{line.quantity:f}",
        "unit_price": line.unit_price,
        "discount": f"{line.discount:f}",
        "days": line.days,
        "of_days": line.of_days,
        "amount": line.amount,
    }


def rostered(entry: "DirectoryEntry") -> dict[str, Any]:
    """An account as it enters the roster."""
    return {"account_id": entry.account_id, "partner_id": entry.partner_id, "outcome": ""}
