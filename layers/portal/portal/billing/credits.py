"""Credit notes: what a bill charged too much is taken off what is still owed of it.

Nothing is rated anew: a corrected quantity is priced by the line as it was billed, whatever prices say today.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from portal.billing.lines import lines_of, stored_line, tax_of, total_of_bill
from portal.billing.rating import Line, Total, amount_for, gross_by_account, taxed
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


def for_lines(
    bill: "Bill", billed: Iterable[Line], earlier: Iterable[Line], right: Mapping[LineKey, Decimal]
) -> Credit:
    """Lower the quantities of lines.

    Args:
        billed: the bill's lines.
        earlier: what earlier credit notes took off them.
        right: the quantities that should have been billed.

    The tax is what the bill's tax goes down by, so that in the end it is the tax on the corrected net.

    Raises:
        Invalid: the bill has no such line, or its quantity would not go down.
        NothingToCredit: it comes to nothing.
    """
    taken: dict[LineKey, tuple[Decimal, int]] = {}
    for line in earlier:
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
        amount = line.amount - amount_taken - amount_for(line, quantity)
        credited.append(replace(line, quantity=less, amount=amount))
    net = sum(line.amount for line in credited)
    if not net:
        raise NothingToCredit
    net_before = int(bill.net_minor) - sum(amount for _, amount in taken.values())
    tax = tax_of(bill)
    tax_before, tax_after = (
        taxed(Money(minor, bill.currency), tax).tax for minor in (net_before, net_before - net)
    )
    charged = tax_before - tax_after
    return Credit(
        tuple(credited), Total(Money(net, bill.currency), charged, Money(net, bill.currency) + charged)
    )


def for_amount(bill: "Bill", gross: Money) -> Credit:
    """Take an amount, tax included, off the bill as a whole: out of it the tax has the part that it has of the bill.

    Raises:
        NothingToCredit: the amount is nothing.
    """
    if gross.minor <= 0:
        raise NothingToCredit
    whole = total_of_bill(bill)
    tax = Money(round_half_up(gross.minor * Fraction(whole.tax.minor, whole.gross.minor)), gross.currency)
    return Credit((), Total(gross - tax, tax, gross))


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


def credited_by_account(notes: Iterable["CreditNote"]) -> dict[str, int]:
    """What credit notes took off single accounts, tax included, in minor units."""
    credited: dict[str, int] = {}
    for note in notes:
        for account_id, gross in gross_by_account(lines_of(note), total_of_bill(note)).items():
            credited[account_id] = credited.get(account_id, 0) + gross.minor
    return credited
