"""Issuing a credit note: one transaction that numbers it, books it, and lowers what is owed on its bill."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from portal import keys
from portal.billing import credits, digests, ledger, lines, rules
from portal.billing.credits import Credit, LineKey
from portal.billing.numbers import next_number
from portal.billing.payments import last_paid, page_outdated, unless_charged_meanwhile
from portal.billing.prices import Amount
from portal.billing.records import Bill, CreditNote, CreditNoteNumber, list_credit_notes, list_parts
from portal.billing.seller import seller
from portal.errors import FieldError, Invalid
from portal.fields import Currency, Line
from portal.journal import Message
from portal.money import Money
from portal.payments.records import find_charge
from portal.scope import Scope
from portal.services import Service
from portal.table import Put, Update, Write

PREFIX = "CN-"


@dataclass(frozen=True, slots=True)
class Crediting:
    """What is written for a credit note, together or not at all."""

    note: CreditNote
    writes: list[Write]
    messages: list[Message]


class CorrectedLine(BaseModel, extra="forbid"):
    account_id: Annotated[str, Field(max_length=64)]
    service: Service
    kind: Literal["monthly", "annual", "true_up"] = "monthly"
    quantity: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=4)]
    """What should have been billed."""

    @property
    def key(self) -> LineKey:
        return self.account_id, self.service, self.kind


class NewCreditNote(BaseModel, extra="forbid"):
    """What an operator wants credited: lines, an amount, or all that is owed."""

    reason: Annotated[Line, Field(min_length=1)]
    lines: Annotated[list[CorrectedLine], Field(min_length=1, max_length=25)] | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    all: Literal[True] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> "NewCreditNote":
        if sum(each is not None for each in (self.lines, self.amount, self.all)) != 1:
            raise ValueError("Give lines, or an amount, or all.")
        if (self.amount is None) != (self.currency is None):
            raise ValueError("An amount has a currency.")
        if self.lines and len({line.key for line in self.lines}) < len(self.lines):
            raise ValueError("Every line once.")
        return self


def credit_of(scope: Scope, bill: Bill, wanted: NewCreditNote) -> Credit:
    """What that comes to.

    Raises:
        NothingOwed, OtherCurrency, NothingToCredit, Invalid: it cannot be credited.
    """
    rules.check_open(bill)
    if wanted.lines:
        return _of_lines(scope, bill, {line.key: line.quantity for line in wanted.lines})
    if wanted.amount and wanted.currency:
        return _of_amount(scope, bill, wanted.amount, wanted.currency)
    owed = Money(bill.outstanding_minor, bill.currency)
    return credits.for_amount(bill, _notes(scope, bill), owed)


def _of_lines(scope: Scope, bill: Bill, right: Mapping[LineKey, Decimal]) -> Credit:
    billed = (line for part in list_parts(scope, bill) for line in lines.lines_of(part))
    return credits.for_lines(bill, billed, _notes(scope, bill), right)


def _notes(scope: Scope, bill: Bill) -> list[CreditNote]:
    return list(list_credit_notes(scope, bill.node, bill.reference or ""))


def _of_amount(scope: Scope, bill: Bill, amount: str, currency: str) -> Credit:
    if currency != bill.currency:
        raise rules.OtherCurrency(f"This bill is in {bill.currency}.")
    try:
        gross = Money.parse(amount, currency)
    except ValueError as error:
        raise Invalid(errors=(FieldError("amount", str(error)),)) from None
    return credits.for_amount(bill, _notes(scope, bill), gross)


def crediting(scope: Scope, bill: Bill, credit: Credit, reason: str, at: datetime) -> Crediting:
    """Raises:
    NothingOwed, CreditTooHigh: see `rules.credited`.
    PaymentInProgress: a card is being charged for the bill.
    """
    charge = find_charge(scope, bill)
    rules.check_not_in_flight(charge)
    change = rules.credited(bill, credit.total)
    number, numbered = next_number("credit-notes")
    reference = f"{PREFIX}{number}"
    note = CreditNote(
        keys.node(bill.node),
        keys.credit_note(bill.reference or "", reference),
        reference=reference,
        bill_sk=bill.sk,
        bill_reference=bill.reference,
        bill_issued_on=bill.issued_on,
        issued_on=at.astimezone(UTC).date(),
        reason=reason,
        seller=bill.seller or seller(),
        net_minor=credit.total.net.minor,
        tax_minor=credit.total.tax.minor,
        total_minor=credit.total.gross.minor,
        partners=_partners(scope, bill, credit),
        created_at=at,
        **credits.stored(credit.lines),
        **{name: getattr(bill, name) for name in _AS_THE_BILL},
    )
    note.digest = digests.of_note(note)
    known_as = CreditNoteNumber(
        keys.node(bill.node), keys.credit_note_number(reference), credit_note_sk=note.sk
    )
    booked = ledger.credited(bill.node, reference, credit.total, at)
    wanted = {"distributor_id": bill.node.distributor, "bill_sk": bill.sk, "credit_note": reference}
    paid = last_paid(bill, int(bill.paid_minor), note.issued_on) if change.get("state") == "credited" else []
    return Crediting(
        note,
        [
            numbered,
            Update(bill, change),
            Put(note),
            Put(known_as),
            Put(booked),
            *paid,
            *unless_charged_meanwhile(charge),
        ],
        [Message("Documents", bill.node, wanted), *page_outdated(bill)],
    )


_AS_THE_BILL = (
    "period_start_on", "period_end_on", "currency", "payer", "tax_rate", "tax_name", "reverse_charge",
)  # fmt: skip


def _partners(scope: Scope, bill: Bill, credit: Credit) -> dict[str, Any] | None:
    """How the partners of the credited accounts were called when the bill was issued."""
    wanted = {line.partner_id for line in credit.lines}
    parts = list_parts(scope, bill) if wanted else ()
    found = (each for part in parts for each in (part.partners or {}).items())
    return {partner_id: called for partner_id, called in found if partner_id in wanted} or None
