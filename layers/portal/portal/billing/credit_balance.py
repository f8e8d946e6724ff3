"""The credit balance: what a distributor has paid in excess pays its next bills, the earliest due first."""

from functools import partial
from typing import TYPE_CHECKING

from portal.billing import payments
from portal.billing.holds import find_hold
from portal.billing.records import find_bill, list_open_bills
from portal.journal import Message
from portal.money import Money
from portal.payments.records import find_charge, find_credit_balance
from portal.scope import EVERYTHING, Scope
from portal.table import settled
from portal.tree import Node

if TYPE_CHECKING:
    from portal.consumer import Work
    from portal.distributors.records import Distributor


def load_balance(scope: Scope, distributor: "Distributor") -> Money:
    """What a distributor has left of what it paid in excess; mostly nothing."""
    found = find_credit_balance(scope, distributor.node)
    return Money(int(found.amount_minor) if found else 0, distributor.currency)


def apply(work: "Work", distributor: Node, bill_sk: str) -> None:
    """Pay a bill from the credit balance, as far as that reaches; from what is left then, the other open bills.

    A bill that is settled, or whose card is just being charged, is left alone; so is everything of a distributor that is
    held.
    """
    if find_hold(EVERYTHING, distributor) is not None:
        return
    if not settled(partial(_pay, work, distributor, bill_sk)):
        return
    for bill in list_open_bills(EVERYTHING, distributor):
        if work.time_is_short:
            body = {"kind": "bill", "distributor_id": distributor.distributor, "bill_sk": bill.sk}
            work.commit(send=[Message("Payments", distributor, body)])
            return
        if not settled(partial(_pay, work, distributor, bill.sk)):
            return


def _pay(work: "Work", distributor: Node, bill_sk: str) -> bool:
    """One bill in one transaction. Whether there is something left for others."""
    balance = find_credit_balance(EVERYTHING, distributor)
    if balance is None or not balance.amount_minor:
        return False
    bill = find_bill(EVERYTHING, distributor, bill_sk)
    charge = find_charge(EVERYTHING, bill) if bill is not None and bill.is_open else None
    if bill is None or not bill.is_open or (charge is not None and charge.is_in_flight):
        return True
    paid = payments.receiving_from_balance(bill, balance, charge, work.now)
    work.commit(*paid.writes, send=paid.messages)
    return bool(balance.amount_minor)
