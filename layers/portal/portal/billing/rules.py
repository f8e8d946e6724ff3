"""The states of a bill: `draft -> issued -> paid`, `issued -> overdue -> paid`, and what ends one otherwise.

    issued | overdue -> credited   a credit note took off all that was still owed
    draft -> parked            a guard rail: an operator looks at it first
    parked -> issued | draft   released: as it is, or to be rated anew
    draft -> nothing_to_bill   a period or term without a line

Nothing else moves, so an event that comes late or twice finds nothing to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from portal.change import Change
from portal.errors import Conflict, FieldError, Invalid
from portal.money import Money

if TYPE_CHECKING:
    from portal.billing.rating import Total
    from portal.billing.records import Bill
    from portal.operators.records import Parked
    from portal.payments.records import Charge

PAYABLE_WITHIN = timedelta(days=30)
CHARGED_WITHIN = timedelta(days=7)
"""How long a card is tried: until the day of the last attempt the bill is not past due."""
REMINDED_AFTER_DAYS = (0, 7, 14, 30)
"""Days past the due date on which an unpaid bill is reminded of."""


class NotWaiting(Conflict):
    detail = "This was released already."


class AlreadyIssued(Conflict):
    detail = "This bill was issued already."


class NothingOwed(Conflict):
    detail = "Nothing is owed on this bill."


class PaymentTooHigh(Conflict):
    """More money than the bill still asks for."""


class CreditTooHigh(Conflict):
    """More than is still owed on the bill. What was paid already is not given back by a credit note."""


class OtherCurrency(Conflict):
    """A bill is paid in its own currency."""


class PaymentInProgress(Conflict):
    detail = "A card is being charged for this bill: try again when the outcome is known."


@dataclass(frozen=True, slots=True)
class Looked:
    """What the overdue job found: how the bill changes, and which reminder goes out, by days past due."""

    change: Change
    reminder: int | None = None


def is_charged_on_issue(kind: str, method: str) -> bool:
    """Consolidated bills of method `credit_card`; whatever the method, annual invoices are due in 30 days."""
    return kind == "monthly" and method == "credit_card"


def issued(kind: str, method: str, total: "Total", reference: str, on: date) -> Change:
    """A bill that is issued on this day under this number.

    What is charged on issue is due once its card was tried for the last time. Before that, whenever charging fails is
    told, and no reminder besides.
    """
    charged = is_charged_on_issue(kind, method)
    due_on = on + (CHARGED_WITHIN if charged else PAYABLE_WITHIN)
    return totalled(total) | Change(
        state="issued",
        reference=reference,
        issued_on=on,
        due_on=due_on,
        reminders_sent=1 if charged else 0,
        look_at=_midnight(due_on + timedelta(days=1) if charged else due_on),
    )


def not_charged(bill: "Bill") -> Change:
    """Its card is not tried any more: an open bill is overdue, whichever day it is."""
    return Change(state="overdue") if bill.is_open else Change()


def parked(total: "Total", reasons: Sequence[str]) -> Change:
    """A bill that waits for an operator; nothing of it is owed."""
    return totalled(total) | Change(state="parked", parked_because=list(reasons))


def totalled(total: "Total") -> Change:
    return Change(net_minor=total.net.minor, tax_minor=total.tax.minor, total_minor=total.gross.minor)


def rated_anew(bill: "Bill", prices: Any) -> Change:
    """A parked bill goes back to the start of its rating, at these prices."""
    check_not_issued(bill)
    return Change(
        state="draft",
        prices=prices,
        rating=int(bill.rating) + 1,
        recounts=0,
        rated_to=0,
        line_count=0,
        net_minor=0,
        tax_minor=0,
        total_minor=0,
        concerns=None,
        follow_up_parts=None,
        parts_digest=None,
        parked_because=None,
    )


def gone_through_again(bill: "Bill") -> Change:
    """A draft that is rated as a whole goes back to its first part: what is outdated is rated anew."""
    return Change(
        recounts=int(bill.recounts) + 1,
        rated_to=0,
        line_count=0,
        net_minor=0,
        concerns=None,
        follow_up_parts=None,
        parts_digest=None,
    )


def sent_back(bill: "Bill") -> Change:
    """A parked bill is gone through again before it is issued; what it was parked for stops it no more."""
    check_not_issued(bill)
    return gone_through_again(bill) | Change(state="draft", tax_minor=0, total_minor=0)


def check_not_issued(bill: "Bill") -> None:
    """Whether a bill can still be issued or changed.

    Raises:
        AlreadyIssued: its number is given out; it never changes any more.
    """
    if bill.state not in ("draft", "parked"):
        raise AlreadyIssued


def released(parked: "Parked", by: str, now: datetime) -> Change:
    """An operator has looked at it.

    Raises:
        NotWaiting: somebody was faster.
    """
    if parked.state != "waiting":
        raise NotWaiting
    return Change(state="released", released_by=by, released_at=now)


def look(bill: "Bill", today: date) -> Looked:
    """What an unpaid bill comes to: overdue from the day after its due date, reminded of on certain days.

    After days without a look only the latest reminder goes out: nobody gets three at once.
    """
    if not bill.is_open or bill.due_on is None:
        return Looked(Change(look_at=None) if bill.look_at else Change())
    past = (today - bill.due_on).days
    reminders = [days for days in REMINDED_AFTER_DAYS if days <= past]
    next_days = [days for days in sorted({1, *REMINDED_AFTER_DAYS}) if days > past]
    change = Change(
        state="overdue" if past > 0 else bill.state,
        reminders_sent=max(len(reminders), int(bill.reminders_sent)),
        look_at=_midnight(bill.due_on + timedelta(days=next_days[0])) if next_days else None,
    )
    if all(getattr(bill, name) == value for name, value in change.items()):
        return Looked(Change())
    return Looked(change, reminders[-1] if len(reminders) > bill.reminders_sent else None)


@dataclass(frozen=True, slots=True)
class Reception:
    """What money that has arrived for a bill does: how the bill changes, and what is more than it asks for."""

    change: Change
    excess: Money


def received(
    bill: "Bill", amount: Money, received_on: date, today: date, *, keep_excess: bool = False
) -> Reception:
    """Money that has arrived for a bill: all that is owed, a part of it or, with `keep_excess`, more than that.

    Raises:
        NothingOwed, OtherCurrency, PaymentTooHigh: it cannot be money for this bill; nothing is recorded.
        Invalid: no money, or a day on which it cannot have arrived.
    """
    if not keep_excess or bill.issued_on is None:
        check_open(bill)
    if amount.currency != bill.currency:
        raise OtherCurrency(f"This bill is in {bill.currency}.")
    if amount.minor <= 0:
        raise Invalid(errors=(FieldError("amount", "Must be more than nothing."),))
    if received_on > today or (bill.issued_on is not None and received_on < bill.issued_on):
        raise Invalid(
            errors=(FieldError("received_on", "Not before the bill was issued and not in the future."),)
        )
    owed = bill.outstanding_minor if bill.is_open else 0
    if amount.minor > owed and not keep_excess:
        raise PaymentTooHigh(f"Only {Money(owed, bill.currency)} is owed.")
    taken = min(amount.minor, owed)
    change = Change(payment_count=int(bill.payment_count) + 1)
    if taken:
        change |= Change(paid_minor=int(bill.paid_minor) + taken)
    if taken and taken == owed:
        change |= Change(state="paid", paid_on=received_on, look_at=None)
    return Reception(change, Money(amount.minor - taken, bill.currency))


def check_open(bill: "Bill") -> None:
    """Raises:
    NothingOwed: the bill is settled, or not issued yet.
    """
    if not bill.is_open:
        raise NothingOwed


def check_not_in_flight(charge: "Charge | None") -> None:
    """Whether a bill's money may be touched otherwise than by charging its card.

    Raises:
        PaymentInProgress: a card was, or may have been, charged, and nobody knows the outcome yet.
    """
    if charge is not None and charge.is_in_flight:
        raise PaymentInProgress


def credited(bill: "Bill", credit: "Total") -> Change:
    """A credit note takes something off what is owed on a bill.

    Raises:
        NothingOwed, CreditTooHigh: it is more than that.
    """
    check_open(bill)
    if credit.gross.minor > bill.outstanding_minor:
        raise CreditTooHigh(f"Only {Money(bill.outstanding_minor, bill.currency)} is owed.")
    change = Change(credited_minor=int(bill.credited_minor) + credit.gross.minor)
    if credit.gross.minor < bill.outstanding_minor:
        return change
    return change | Change(state="credited", look_at=None)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
