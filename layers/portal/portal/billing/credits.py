"""Credit notes: what a bill charged too much is taken off what is still owed of it.

Nothing is rated anew: a corrected quantity is priced by the line as it was billed, whatever prices say today.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from portal.billing.lines import lines_of, stored_line, tax_of, total_of_bill
from portal.billing.rating import Line, Total, amount_for, taxed
from portal.errors import Conflict, FieldError, Invalid
from portal.money import Money, round_half_up

if TYPE_CHECKING:
    from portal.billing.records import Bill, CreditNote

LineKey = tuple[str, str, str]
"""Account id, service and kind: they tell the lines of a bill apart."""


class NothingToCredit(Conflict):
    detail = "This credits nothing."


@dataclass(frozen=True, slots=True)
class Credit:
    """What is credited: the corrected lines with the quantity and amount that are taken off, if there are any."""

    lines: tuple[Line, ...]
    total: Total


def key_of(line: Line) -> LineKey:
    return line.account_id, line.service, line.kind


def credited_so_far(bill: "Bill", notes: Iterable["CreditNote"]) -> Total:
    """What credit notes have taken off a bill by now."""
    credited = [total_of_bill(note) for note in notes]
    net, tax = (
        Money(sum(getattr(each, part).minor for each in credited), bill.currency) for part in ("net", "tax")
    )
    return Total(net, tax, net + tax)


def for_lines(
    bill: "Bill", billed: Iterable[Line], notes: Sequence["CreditNote"], right: Mapping[LineKey, Decimal]
) -> Credit:
    """Lower the quantities of lines to what should have been billed (`right`).

    The tax is what the tax goes down by when this is taken off the net, so that with all credit notes together it is the
    tax on the net that is left.

    Raises:
        Invalid: the bill has no such line, or its quantity would not go down.
        NothingToCredit: it comes to nothing.
    """
    taken: dict[LineKey, tuple[Decimal, int]] = {}
    for line in (line for note in notes for line in lines_of(note)):
        quantity, amount = taken.get(key_of(line), (Decimal(0), 0))
        taken[key_of(line)] = quantity + line.quantity, amount + line.amount
    by_key = {key_of(line): line for line in billed}
    credited = []
    for place, (key, quantity) in enumerate(right.items()):
        if key not in by_key:
            raise Invalid(errors=(FieldError(f"lines.{place}", "The bill has no such line."),))
        line = by_key[key]
        quantity_taken, amount_taken = taken.get(key, (Decimal(0), 0))
        less = line.quantity - quantity_taken - quantity
        if less <= 0:
            said = f"Must be less than {line.quantity - quantity_taken:f}, which is billed."
            raise Invalid(errors=(FieldError(f"lines.{place}.quantity", said),))
        credited.append(
            replace(line, quantity=less, amount=line.amount - amount_taken - amount_for(line, quantity))
        )
    net = sum(line.amount for line in credited)
    if not net:
        raise NothingToCredit
    before = credited_so_far(bill, notes)
    left = taxed(Money(int(bill.net_minor) - before.net.minor - net, bill.currency), tax_of(bill)).tax
    tax = min(
        max(int(bill.tax_minor) - before.tax.minor - left.minor, 0), int(bill.tax_minor) - before.tax.minor
    )
    return Credit(tuple(credited), _total(net, tax, bill.currency))


def for_amount(bill: "Bill", notes: Iterable["CreditNote"], gross: Money) -> Credit:
    """Take an amount, tax included, off the bill as a whole: the tax in all of its credit notes has the part that it has
    of the bill, and never more than the bill charges.

    Raises:
        NothingToCredit: the amount is nothing.
    """
    if gross.minor <= 0:
        raise NothingToCredit
    whole, before = total_of_bill(bill), credited_so_far(bill, notes)
    part = Fraction(whole.tax.minor, whole.gross.minor)
    tax = round_half_up((before.gross.minor + gross.minor) * part) - before.tax.minor
    most = min(gross.minor, whole.tax.minor - before.tax.minor)
    least = max(0, gross.minor - (whole.net.minor - before.net.minor))
    tax = min(max(tax, least), most)
    return Credit((), _total(gross.minor - tax, tax, gross.currency))


def _total(net: int, tax: int, currency: str) -> Total:
    return Total(Money(net, currency), Money(tax, currency), Money(net + tax, currency))


def stored(lines: Sequence[Line]) -> dict[str, Any]:
    """The lines of a credit as its note keeps them: attributes `roster` and `lines`, as a bill's part has them."""
    roster = {
        line.account_id: {
            "account_id": line.account_id,
            "partner_id": line.partner_id,
            "name": line.account_name,
            "email": line.account_email,
            "outcome": "credited",
        }
        for line in lines
    }
    return {"roster": list(roster.values()), "lines": [stored_line(line) for line in lines]}


def net_by_account(notes: Iterable["CreditNote"]) -> dict[str, int]:
    """What credit notes took off the lines of single accounts, before tax, in minor units."""
    credited: dict[str, int] = {}
    for line in (line for note in notes for line in lines_of(note)):
        credited[line.account_id] = credited.get(line.account_id, 0) + line.amount
    return credited
