"""Issuing: one transaction that gives a bill its number, books it, and moves on what called for it.

The number comes from one gapless sequence, which is part of that transaction: a number that was given out is
on a bill. PDF, CSV and the mail, and paying it from the credit balance or by card, follow from the outbox messages
written with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from portal import keys
from portal.accounts.records import Account, Renewal
from portal.billing import ledger, rules
from portal.billing.numbers import next_number
from portal.billing.rating import Line, Total
from portal.billing.records import Bill, BillReference
from portal.change import Change
from portal.distributors.records import Distributor, Schedule
from portal.journal import Message
from portal.payments import rules as charging
from portal.payments.records import Charge
from portal.periods import Period, next_payment_date
from portal.table import Put, Update, Write
from portal.tree import Node

PATIENCE = 10
"""How often a step is tried again that may issue: on a payment day many runs want the next number at once."""


@dataclass(frozen=True, slots=True)
class Issuing:
    """What issues a bill: its own change, and the writes and messages that belong into the transaction."""

    change: Change
    writes: list[Write]
    messages: list[Message]


def issuing(distributor: Node, bill_sk: str, kind: str, method: str, total: Total, at: datetime) -> Issuing:
    """Issue on the day of `at`: on time that is the payment day, or the term's first.

    A late run does not date its bills back: it takes nothing from the days there are to pay.
    """
    reference, numbered = next_number("bills")
    on = at.astimezone(UTC).date()
    wanted = {"distributor_id": distributor.distributor, "bill_sk": bill_sk}
    return Issuing(
        change=rules.issued(kind, method, total, reference, on),
        writes=[
            numbered,
            *(
                Put(
                    BillReference(*key, distributor_id=distributor.distributor, bill_sk=bill_sk, issued_on=on)
                )
                for key in (
                    (keys.node(distributor), keys.reference(reference)),
                    keys.reference_path(reference),
                )
            ),
            Put(ledger.issued(distributor, reference, total, at)),
            *_charge(distributor, bill_sk, kind, method, at),
        ],
        messages=[
            Message("Documents", distributor, wanted),
            Message("Payments", distributor, {"kind": "bill", **wanted}),
        ],
    )


def _charge(distributor: Node, bill_sk: str, kind: str, method: str, at: datetime) -> list[Write]:
    if not rules.is_charged_on_issue(kind, method):
        return []
    key = keys.bill_parts(distributor, bill_sk), keys.CHARGE
    return [Put(Charge(*key, **charging.begun(at), created_at=at))]


def period_billed(schedule: Schedule, distributor: Distributor, bill: Bill, at: datetime) -> Write:
    """The monthly schedule goes on to the next period; it stays due while accounts wait for the follow-up."""
    waiting = bool(bill.follow_up_parts)
    change = Change(
        due_at=midnight(next_payment_date(int(distributor.payment_day), bill.period_end_on)),
        bill_sk=None,
        follow_up_sk=bill.sk if waiting else None,
        follow_up_at=at if waiting else None,
        followed_up_to=0,
    )
    return Update(schedule, change)


def term_billed(renewal: Renewal, term: Period, lines: Iterable[Line]) -> Write:
    """The renewal goes on to the next term, and remembers what this one was invoiced for.

    The true-ups of earlier terms stay: a payment date before this term may still be rated.
    """
    invoiced = {line.service: f"{line.quantity:f}" for line in lines}
    return Update(renewal, Change(due_at=midnight(term.end), term_start_on=term.start, invoiced=invoiced))


def first_billed(account: Account, on: date) -> list[Write]:
    """That the account has been on a bill now; nothing to write where it was before."""
    return [Update(account, Change(first_billed_on=on))] if account.first_billed_on is None else []


def midnight(day: date) -> datetime:
    """The instant at which a UTC day begins."""
    return datetime.combine(day, time(), UTC)
