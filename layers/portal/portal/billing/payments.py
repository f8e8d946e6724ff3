"""Payments: money that has arrived for a bill."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from portal import ids, keys
from portal.accounts.records import find_accounts_at
from portal.billing import ledger, rules
from portal.billing.records import Bill, Payment
from portal.change import Change
from portal.errors import FieldError, Invalid
from portal.journal import Message
from portal.money import Money
from portal.notifications.messages import mail
from portal.scope import EVERYTHING
from portal.table import Put, Update, Write


@dataclass(frozen=True, slots=True)
class Received:
    """What is written when money has arrived, together or not at all."""

    amount: Money
    payment: Payment
    writes: list[Write]
    messages: list[Message]


def receiving(bill: Bill, amount: str, currency: str, received_on: date, note: str, at: datetime) -> Received:
    """A bank transfer for a bill.

    Raises:
        Conflict, Invalid: see `rules.received`; also for an amount with more decimals than the currency has.
    """
    money = _money(amount, currency)
    change = rules.received(bill, money, received_on, at.astimezone(UTC).date())
    payment_id = ids.new("pay", at)
    payment = Payment(
        keys.bill_parts(bill.node, bill.sk),
        keys.payment(payment_id),
        payment_id=payment_id,
        amount_minor=money.minor,
        currency=money.currency,
        received_on=received_on,
        paid_by="bank_transfer",
        note=note or None,
        created_at=at,
    )
    writes: list[Write] = [Update(bill, change), Put(payment)]
    writes.append(Put(ledger.received(bill.node, bill.reference or "", money, at)))
    if change.get("state") == "paid":
        writes += last_paid(bill, change["paid_minor"], received_on)
    return Received(money, payment, writes, [_receipt(bill, payment, money)])


def _money(amount: str, currency: str) -> Money:
    try:
        return Money.parse(amount, currency)
    except ValueError as error:
        raise Invalid(errors=(FieldError("amount", str(error)),)) from None


def last_paid(bill: Bill, minor: int, on: date) -> list[Write]:
    """What was paid for an annual invoice that is settled now: its account remembers it. Consolidated bills are looked up,
    and what was credited was not paid.
    """
    at = bill.account_node
    account = find_accounts_at(EVERYTHING, [at]).get(at) if at is not None and minor else None
    if account is None:
        return []
    paid = {"minor": minor, "currency": bill.currency, "on": on.isoformat()}
    return [Update(account, Change(last_paid=paid))]


def _receipt(bill: Bill, payment: Payment, amount: Money) -> Message:
    return mail(
        bill.node,
        to_billing=True,
        template="payment_received",
        parameters={
            "reference": bill.reference,
            "amount": str(amount),
            "received_on": payment.received_on.isoformat(),
        },
        dedupe=f"payment-received {payment.payment_id}",
    )
