"""Issued bills and credit notes, each by itself: keys, numbers, sums, digests, states, guard rails."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from portal.billing import digests, rules
from portal.billing.guard_rails import reasons_to_park
from portal.billing.lines import tax_of, total_of_bill
from portal.billing.rating import taxed
from portal.billing.reconciliation.findings import Finding, Findings
from portal.money import Money
from portal.periods import Period, period_ending

if TYPE_CHECKING:
    from portal.billing.records import Bill, BillReference, CreditNote

PATIENCE = timedelta(days=2)
"""How late a nightly job may be before somebody has to know."""

_UNISSUED = ("draft", "parked", "nothing_to_bill")
_ISSUED = ("issued", "overdue", "paid", "credited")


def name_of(bill: "Bill") -> str:
    if bill.reference:
        return f"bill {bill.reference}"
    of = f" of {bill.account_id}" if bill.account_id else ""
    return f"{bill.bill_kind} bill{of} for {bill.period_start_on} to {bill.period_end_on}"


def check_key(bill: "Bill", expected_sk: str, of_period: Sequence["Bill"]) -> Findings:
    """B1. `of_period` are the consolidated bills of the same period, this one too; empty for annual invoices."""
    if bill.sk != expected_sk:
        yield Finding("B1", name_of(bill), "It stands under the key of another bill.")
    others = [each for each in of_period if each.sk != bill.sk]
    if others and bill.sk == max(each.sk for each in of_period):
        yield Finding("B1", name_of(bill), f"There is another for its period: {name_of(others[0])}.")


def check_number(
    bill: "Bill", stored: Sequence["BillReference | None"], last: int, first: int = 10_001
) -> Findings:
    """B1. `stored` says whose the number is: in the distributor's partition, and under the number itself."""
    reference = bill.reference or ""
    if not reference.isdecimal() or not first <= int(reference) <= last:
        yield Finding("B1", name_of(bill), "Its number was never given out.")
    for known in stored:
        if known is None:
            yield Finding("B1", name_of(bill), "Its number leads to no bill.")
        elif (known.distributor_id, known.bill_sk) != (bill.node.distributor, bill.sk):
            yield Finding("B1", name_of(bill), "Its number is another bill's.")


def check_period(bill: "Bill", payment_day: int, before: bool) -> Findings:
    """B8 and B2 of a consolidated bill. `before`: whether the period before was billed, or this is the first."""
    period = (bill.period_start_on, bill.period_end_on)
    try:
        anchored = period_ending(payment_day, bill.period_end_on)
    except ValueError:
        yield Finding("B8", name_of(bill), f"{bill.period_end_on} is no payment date of day {payment_day}.")
        return
    if period != (anchored.start, anchored.end):
        yield Finding("B8", name_of(bill), f"Its period begins on {anchored.start}, not {period[0]}.")
    elif not before:
        yield Finding(
            "B2", name_of(bill), f"No period ends where this one begins, on {bill.period_start_on}."
        )


def check_sums(bill: "Bill", net: int, line_count: int) -> Findings:
    """B3. What the lines come to, and how many there are."""
    if bill.net_minor != net:
        yield Finding("B3", name_of(bill), f"Its lines come to {net}, its net total says {bill.net_minor}.")
    if bill.bill_kind == "monthly" and bill.line_count != line_count:
        yield Finding("B3", name_of(bill), f"It has {line_count} lines, not {bill.line_count}.")
    yield from _check_tax(bill, name_of(bill))


def _check_tax(document: "Bill", name: str) -> Findings:
    tax = taxed(Money(int(document.net_minor), document.currency), tax_of(document)).tax.minor
    if document.tax_minor != tax:
        yield Finding("B3", name, f"The tax on its net total is {tax}, not {document.tax_minor}.")
    if document.net_minor + document.tax_minor != document.total_minor:
        yield Finding("B3", name, "Net and tax do not make its total.")


def check_digest(bill: "Bill", parts_digest: str | None) -> Findings:
    """B5. `parts_digest` is that of the parts as they are stored now."""
    if bill.digest is None:
        yield Finding("B5", name_of(bill), "Nothing tells what was issued: it has no digest.")
    elif bill.parts_digest != parts_digest:
        yield Finding("B5", name_of(bill), "Its roster or lines are not those that were issued.")
    elif bill.digest != digests.of_bill(bill):
        yield Finding("B5", name_of(bill), "What it says is not what was issued.")


def check_state(bill: "Bill", now: datetime, *, held: bool) -> Findings:
    """B6, and B11 of parked bills. Of a distributor that is held, or was until lately, nothing is late."""
    name, owed = name_of(bill), bill.outstanding_minor
    if bill.state in _UNISSUED:
        touched = any((bill.reference, bill.issued_on, bill.due_on, bill.digest, bill.look_at))
        if touched or bill.paid_minor or bill.credited_minor:
            invariant = "B11" if bill.state == "parked" else "B6"
            yield Finding(invariant, name, f"It is {bill.state}, yet has been issued.")  # type: ignore[arg-type]
        if bill.state == "parked" and not bill.parked_because:
            yield Finding("B11", name, "It is parked without a reason.")
        return
    if bill.state not in _ISSUED or not (bill.reference and bill.issued_on and bill.due_on):
        yield Finding("B6", name, f"It is {bill.state}, yet was not issued.")
        return
    if (owed <= 0) == bill.is_open:
        yield Finding("B6", name, f"It is {bill.state}, and {owed} is owed.")
    if bill.state == "credited" and not bill.credited_minor:
        yield Finding("B6", name, "It is credited, yet nothing was.")
    if (bill.state == "paid") != (bill.paid_on is not None):
        yield Finding("B6", name, f"It is {bill.state}, and was paid on {bill.paid_on or 'no day'}.")
    yield from _check_dates(bill, now, held=held)


def _check_dates(bill: "Bill", now: datetime, *, held: bool) -> Findings:
    name, today = name_of(bill), now.date()
    issued_as = rules.issued(
        bill.bill_kind, bill.bill_method, total_of_bill(bill), bill.reference, bill.issued_on
    )
    if bill.due_on != issued_as["due_on"]:
        yield Finding("B6", name, f"It is due on {bill.due_on}, not {issued_as['due_on']}.")
    if bill.issued_on > today:
        yield Finding("B6", name, f"It was issued on {bill.issued_on}, which is yet to come.")
    # What was to be charged to a card is overdue as soon as that is given up.
    to_card = rules.is_charged_on_issue(bill.bill_kind, bill.bill_method)
    if bill.state == "overdue" and bill.due_on >= today and not to_card:
        yield Finding("B6", name, f"It is overdue, yet due on {bill.due_on}.")
    if not bill.is_open and bill.look_at is not None:
        yield Finding("B6", name, f"It is {bill.state}, yet still to be reminded of.")
    late = now - PATIENCE
    if bill.is_open and not held:
        if bill.look_at is not None and bill.look_at < late:
            yield Finding("B6", name, f"Nobody has looked at it since {bill.look_at.date()}.")
        elif bill.state == "issued" and (bill.due_on < late.date() or bill.look_at is None):
            yield Finding("B6", name, "It does not become overdue.")


def check_rails(bill: "Bill", *, negative: bool, duplicate: bool, earlier: Sequence[Money]) -> Findings:
    """B11. An issued bill that a guard rail stops was parked first. `earlier`: see `reasons_to_park`."""
    if bill.parked_because:
        return
    reasons: list[str] = [*reasons_to_park((), total_of_bill(bill).gross, earlier, 1)]
    reasons += ["negative_line"] * negative + ["duplicate_line"] * duplicate
    if reasons:
        yield Finding("B11", name_of(bill), f"It was issued past a guard rail: {', '.join(reasons)}.")


def check_note(note: "CreditNote", bill: "Bill | None", last: int) -> Findings:
    """B5, B3 and B1 of a credit note; `last` is the last number given out."""
    name = f"credit note {note.reference}"
    if note.digest != digests.of_note(note):
        yield Finding("B5", name, "What it says is not what was issued.")
    if note.net_minor + note.tax_minor != note.total_minor:
        yield Finding("B3", name, "Net and tax do not make its total.")
    if note.lines and sum(line["amount"] for line in note.lines) != note.net_minor:
        yield Finding("B3", name, "Its lines do not come to its net total.")
    number = note.reference.rpartition("-")[2]
    if not number.isdecimal() or int(number) > last:
        yield Finding("B1", name, "Its number was never given out.")
    if bill is None or bill.reference != note.bill_reference or bill.state not in _ISSUED:
        yield Finding("B1", name, f"There is no bill {note.bill_reference} that it could be for.")


def check_credited(bill: "Bill", notes: Sequence["CreditNote"]) -> Findings:
    """B3. What was credited is what its credit notes say."""
    credited = sum(int(note.total_minor) for note in notes)
    if credited != bill.credited_minor:
        yield Finding(
            "B3", name_of(bill), f"Its credit notes come to {credited}, it says {bill.credited_minor}."
        )


def check_schedule(due_on: date, payment_day: int, before: bool, late: bool) -> Findings:
    """B8 and B2: the period that is billed next begins where the last one ended, and nobody forgot about it."""
    try:
        period: Period | None = period_ending(payment_day, due_on)
    except ValueError:
        period = None
    if period is None:
        yield Finding("B8", "monthly bills", f"{due_on} is no payment date of day {payment_day}.")
    elif not before:
        yield Finding("B2", "monthly bills", f"No bill ends on {period.start}, where the next begins.")
    if late:
        yield Finding("B2", "monthly bills", f"The period until {due_on} is not billed yet.")
