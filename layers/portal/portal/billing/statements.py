"""Statements: what each partner's accounts cost on a consolidated bill, so that the distributor can bill its partners.

They are cut from the frozen bill, so they sum to it exactly and never change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.billing.lines import FrozenBill
from portal.billing.rating import gross_by_account
from portal.errors import NotFound
from portal.money import Money
from portal.tree import DIRECT

DIRECT_ACCOUNTS = "Direct accounts"


@dataclass(frozen=True, slots=True)
class Statement:
    """One partner's part of a bill. Gross is net and the partner's share of the bill's tax."""

    partner_id: str
    """`direct` for the distributor's own accounts."""
    name: str
    code: str
    """Its visible Partner ID when the bill was issued; empty for direct accounts."""
    accounts: int
    net: Money
    tax: Money
    gross: Money


def statements(bill: FrozenBill) -> list[Statement]:
    """A statement per partner with a line on the bill, by name, direct accounts first.

    Nets sum to the bill's net total, taxes to its tax: each account's share of the tax is the one it owes.
    """
    gross = gross_by_account(bill.lines, bill.total)
    nets: dict[str, int] = {}
    accounts: dict[str, set[str]] = {}
    for line in bill.lines:
        nets[line.partner_id] = nets.get(line.partner_id, 0) + line.amount
        accounts.setdefault(line.partner_id, set()).add(line.account_id)
    made = [
        _statement(bill, partner_id, nets[partner_id], [gross[account_id] for account_id in account_ids])
        for partner_id, account_ids in accounts.items()
    ]
    return sorted(made, key=lambda each: (each.partner_id != DIRECT, each.name.casefold(), each.partner_id))


def check_is_on(bill: FrozenBill, partner_id: str) -> None:
    """Raises:
    NotFound: no account of this partner is on the bill.
    """
    if all(line.partner_id != partner_id for line in bill.lines):
        raise NotFound


def _statement(bill: FrozenBill, partner_id: str, net: int, shares: Sequence[Money]) -> Statement:
    called = named(bill, partner_id)
    gross, currency = sum(share.minor for share in shares), bill.total.gross.currency
    return Statement(
        partner_id,
        called[0],
        called[1],
        len(shares),
        Money(net, currency),
        Money(gross - net, currency),
        Money(gross, currency),
    )


def named(bill: FrozenBill, partner_id: str) -> tuple[str, str]:
    """A partner's name and visible Partner ID as they were when the bill was issued."""
    if partner_id == DIRECT:
        return DIRECT_ACCOUNTS, ""
    partner = bill.partners.get(partner_id)
    return (partner["name"], partner["code"]) if partner else (partner_id, partner_id)
