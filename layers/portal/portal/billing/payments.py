"""Payments: money that has arrived for a bill. What is more than it asks for goes to the distributor's credit balance."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from portal import ids, keys
from portal.accounts.records import find_accounts_at
from portal.billing import ledger, rules
from portal.billing.records import Bill, Overtaken, Payment
from portal.change import Change
from portal.errors import Conflict, FieldError, Invalid
from portal.journal import Message
from portal.money import Money
from portal.payments.records import Charge, CreditBalance, find_charge, find_credit_balance, find_page
from portal.scope import EVERYTHING
from portal.table import Check, Put, Update, Write

PaidBy = Literal["bank_transfer", "credit_card", "payment_page", "credit_balance"]


class RecordedAlready(Conflict):
    detail = "This payment is recorded already."


@dataclass(frozen=True, slots=True)
class Received:
    """What is written when money has arrived, together or not at all."""

    amount: Money
    excess: Money
    """What of it goes to the credit balance."""
    payment: Payment
    writes: list[Write]
    messages: list[Message]


def receiving(
    bill: Bill,
    amount: str,
    currency: str,
    received_on: date,
    note: str,
    at: datetime,
    *,
    keep_excess: bool = False,
) -> Received:
    """A bank transfer for a bill; with `keep_excess` also one of more than is owed.

    Raises:
        Conflict, Invalid: see `rules.received`; also for an amount with more decimals than the currency has.
        PaymentInProgress: a card is being charged for the bill.
    """
    charge = find_charge(EVERYTHING, bill)
    rules.check_not_in_flight(charge)
    money = _money(amount, currency)
    reception = rules.received(bill, money, received_on, at.astimezone(UTC).date(), keep_excess=keep_excess)
    payment = _payment(bill, ids.new("pay", at), money, received_on, "bank_transfer", at)
    payment.note = note or None
    received = _received(bill, payment, reception, at)
    received.writes.extend(unless_charged_meanwhile(charge))
    return received


def receiving_from_provider(
    bill: Bill, provider_id: str, amount: Money, paid_by: Literal["credit_card", "payment_page"], at: datetime
) -> Received:
    """What the payment provider has taken in for a bill, whatever has become of the bill by then. `provider_id` is its
    payment intent's: written twice, the second time raises `RecordedAlready`.

    Raises:
        OtherCurrency, NothingOwed: it cannot be money for this bill, which is in another currency or was never issued.
    """
    on = at.astimezone(UTC).date()
    reception = rules.received(bill, amount, on, on, keep_excess=True)
    return _received(bill, _payment(bill, provider_id, amount, on, paid_by, at), reception, at)


def receiving_from_balance(
    bill: Bill, balance: CreditBalance, charge: Charge | None, at: datetime
) -> Received:
    """What of a distributor's credit balance pays an open bill, or a part of it; `charge` is the bill's.

    Raises:
        NothingOwed, OtherCurrency: it cannot.
        PaymentInProgress: a card is being charged for the bill.
    """
    rules.check_not_in_flight(charge)
    on = at.astimezone(UTC).date()
    amount = Money(min(int(balance.amount_minor), bill.outstanding_minor), balance.currency)
    reception = rules.received(bill, amount, on, on)
    received = _received(
        bill, _payment(bill, ids.new("pay", at), amount, on, "credit_balance", at), reception, at
    )
    received.writes.append(Update(balance, Change(amount_minor=int(balance.amount_minor) - amount.minor)))
    received.writes.extend(unless_charged_meanwhile(charge))
    return received


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


def unless_charged_meanwhile(charge: Charge | None) -> list[Write]:
    """To be written with whatever else changes what is owed on the bill that has this charge, if it has one."""
    return [Check(charge)] if charge is not None else []


def page_outdated(bill: Bill) -> list[Message]:
    """To be sent with whatever changes what is owed on a bill: a payment page that asks for something else is closed."""
    page = find_page(EVERYTHING, bill)
    return [_to_payments(bill, "page")] if page is not None and page.state in ("asked", "open") else []


def _money(amount: str, currency: str) -> Money:
    try:
        return Money.parse(amount, currency)
    except ValueError as error:
        raise Invalid(errors=(FieldError("amount", str(error)),)) from None


def _payment(
    bill: Bill, payment_id: str, amount: Money, received_on: date, paid_by: PaidBy, at: datetime
) -> Payment:
    return Payment(
        keys.bill_parts(bill.node, bill.sk),
        keys.payment(payment_id),
        payment_id=payment_id,
        amount_minor=amount.minor,
        currency=amount.currency,
        received_on=received_on,
        paid_by=paid_by,
        receipt=f"{bill.reference}-{int(bill.payment_count) + 1}",
        created_at=at,
    )


def _received(bill: Bill, payment: Payment, reception: rules.Reception, at: datetime) -> Received:
    amount, excess, change = (
        Money(int(payment.amount_minor), payment.currency),
        reception.excess,
        reception.change,
    )
    payment.excess_minor = excess.minor
    payment.owed_minor = bill.outstanding_minor - (amount - excess).minor
    booked = ledger.received(
        bill.node, bill.reference or "", amount, at, paid_by=payment.paid_by, excess=excess
    )
    writes: list[Write] = [Update(bill, change), Put(payment, taken=RecordedAlready), Put(booked)]
    if change.get("state") == "paid":
        writes += last_paid(bill, change["paid_minor"], payment.received_on)
    messages = [_receipt_wanted(bill, payment), *page_outdated(bill)]
    if excess.minor:
        writes.append(_kept(bill, excess))
        messages.append(_to_payments(bill, "bill"))
    return Received(amount, excess, payment, writes, messages)


def _kept(bill: Bill, excess: Money) -> Write:
    """The excess goes to the distributor's credit balance."""
    balance = find_credit_balance(EVERYTHING, bill.node)
    if balance is None:
        key = keys.node(bill.node), keys.CREDIT_BALANCE
        first = CreditBalance(*key, amount_minor=excess.minor, currency=excess.currency)
        return Put(first, taken=Overtaken)
    kept = Money(int(balance.amount_minor), balance.currency) + excess
    return Update(balance, Change(amount_minor=kept.minor))


def _receipt_wanted(bill: Bill, payment: Payment) -> Message:
    """The receipt is rendered first and mailed then."""
    wanted = {
        "distributor_id": bill.node.distributor, "bill_sk": bill.sk, "payment": payment.payment_id,
    }  # fmt: skip
    return Message("Documents", bill.node, wanted)


def _to_payments(bill: Bill, kind: Literal["bill", "page"]) -> Message:
    body = {"kind": kind, "distributor_id": bill.node.distributor, "bill_sk": bill.sk}
    return Message("Payments", bill.node, body)
