"""Billing as answers show it: to distributors, and to operators in their portals."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field

from portal.accounts.rules import AccountStatus, BackupStatus
from portal.billing.lines import lines_of, total_of_bill
from portal.billing.prices import Amount, Fraction, PriceTerms
from portal.billing.standing import Status, is_past_due
from portal.change import Change
from portal.money import Money
from portal.money_view import MoneyView, money
from portal.services import Service
from portal.subscriptions.rules import ended_trial
from portal.subscriptions.spans import plan_of, renewal_on

if TYPE_CHECKING:
    from portal.accounts.listing import Listed
    from portal.accounts.records import Account
    from portal.billing.outlook import NextBill, Outlook
    from portal.billing.rating import Line, PriceBook
    from portal.billing.records import Bill, CreditNote, PaymentDetailsRecord, PriceBookRecord
    from portal.billing.standing import OpenLine, Standing
    from portal.billing.statements import Statement
    from portal.distributors.records import Distributor
    from portal.paging import LongPage, Page

Subscription = Literal["trial", "monthly", "annual"]
Method = Literal["credit_card", "invoice"]
BillKind = Literal["monthly", "annual"]
BillState = Literal["issued", "overdue", "paid", "credited"]


class BillingMethod(BaseModel):
    """How a distributor pays its consolidated bills."""

    method: Method | None = Field(description="Null until it is chosen.")
    currency: str
    payment_day: int = Field(
        description="Day of the month on which a period ends and is billed; in shorter months the last."
    )
    credit_balance: MoneyView = Field(
        description="What was paid in excess and is left of it: it pays the next bills before anything else does."
    )


class PaymentDetailsShown(BaseModel):
    """The payment details form; what was not given yet is null."""

    complete: bool = Field(description="Whether the details were given.")
    currency: str
    payment_day: int
    title: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    billing_email: str
    company: str
    tax_id: str | None
    address_line_1: str | None = None
    address_line_2: str | None = None
    country: str = Field(description="Two letters (ISO 3166-1) once the details were given.")
    state: str | None = None
    city: str | None = None
    postal_code: str | None = None
    phone: str | None = None
    delivery: Literal["link", "attachment"] = "attachment"


class Prices(PriceTerms):
    """One version of a distributor's prices."""

    effective_on: date


class PriceList(BaseModel):
    """What is in effect today, and what is going to be."""

    in_effect: Prices | None
    upcoming: list[Prices]


class Forecast(MoneyView):
    """A next payment before tax, within low..high."""

    low: MoneyView
    high: MoneyView
    method: Literal["trend", "last_count", "renewal"] = Field(
        description="Trend of the last 90 days; last count where there are fewer than 7; renewal of a year."
    )
    billed_on: date


class StatusRow(BaseModel):
    """Where an account stands with its bills. Null where there is none."""

    account_id: str
    account_name: str
    email: str
    partner_id: str = Field(description="`direct` for a distributor's own accounts.")
    partner_name: str | None = None
    account_status: AccountStatus
    backup_status: BackupStatus
    billing_status: Status
    subscription: Subscription
    renewal_date: date | None
    amount_due: MoneyView | None = Field(description="Tax included.")
    next_payment_forecast: Forecast | None = Field(
        default=None, description="Before tax; null where no price is known."
    )


class LineView(BaseModel):
    """One line of a bill. Prices are per billable entity, before discount."""

    service: Service
    kind: Literal["monthly", "annual", "true_up"]
    quantity: str
    unit_price: MoneyView
    discount: Fraction = Field(description='A fraction: "0.4" is 40 %.')
    days: int
    of_days: int
    amount: MoneyView


class OpenBill(BaseModel):
    """A bill that is not paid, as far as it concerns one account."""

    reference: str
    kind: BillKind
    issue_date: date
    due_date: date
    state: BillState
    owed: MoneyView = Field(description="This account's part of what is still owed, tax included.")
    lines: list[LineView]


class ServicePrice(BaseModel):
    """What one billable entity costs an account at most: its volume may reach a lower tier."""

    service: Service
    monthly: Amount
    annual: Amount
    discount: Fraction
    currency: str
    has_tiers: bool


class AccountBilling(BaseModel):
    """All that billing knows of one account."""

    account_id: str
    account_name: str
    email: str
    partner_id: str
    partner_name: str | None
    account_status: AccountStatus
    billing_status: Status
    subscription: Subscription
    subscribed_on: date | None
    renewal_date: date | None
    amount_due: MoneyView | None
    last_paid: MoneyView | None
    open_bills: list[OpenBill]
    next_payment_forecast: Forecast | None
    prices: list[ServicePrice]


class ForecastLine(BaseModel):
    """One line of the next bill: of an account, or of a whole partner or service where `lines_per` says so."""

    partner_id: str | None
    account_id: str | None
    account_name: str | None
    service: Service
    kind: Literal["monthly", "annual", "true_up"]
    quantity: str
    unit_price: MoneyView | None = Field(description="Before discount.")
    discount: Fraction | None
    days: int | None
    of_days: int | None
    amount: MoneyView


class BillForecast(BaseModel):
    """A distributor's next bill, with what its annual accounts renew and grow by on the way there."""

    period_start: date
    period_end: date = Field(description="Exclusive: the day on which it is billed.")
    method: Literal["trend", "last_count", "renewal"]
    net: MoneyView
    tax: MoneyView
    tax_name: str | None
    total: MoneyView
    low: MoneyView = Field(description="The range of the total.")
    high: MoneyView
    lines_per: Literal["account", "partner", "service"]
    lines: list[ForecastLine]
    accounts_without_price: list[str] = Field(description="Left out: they use a service that has no price.")
    as_of: datetime = Field(
        description="Now; where there are many accounts, last night, and what has happened since is not in it."
    )


class HistoryRow(BaseModel):
    """An issued bill."""

    reference: str
    kind: BillKind
    account_id: str | None = Field(description="Annual invoices: whose it is.")
    account_name: str = Field(
        description="`Consolidated bill`, or the account's name when the invoice was issued."
    )
    issue_date: date
    due_date: date
    period_start: date
    period_end: date = Field(description="Exclusive.")
    amount: MoneyView = Field(description="Tax included.")
    credited: MoneyView = Field(description="What credit notes have taken off it.")
    outstanding: MoneyView
    state: BillState
    paid_on: date | None
    has_csv: bool


class CreditedLine(BaseModel):
    """A line of a bill whose quantity was lowered."""

    account_id: str
    account_name: str
    service: Service
    kind: Literal["monthly", "annual", "true_up"]
    quantity: str = Field(description="By how much.")
    amount: MoneyView = Field(description="Before tax.")


class CreditNoteRow(BaseModel):
    """What was taken off a bill."""

    reference: str
    bill_reference: str
    issue_date: date
    reason: str
    net: MoneyView
    tax: MoneyView
    amount: MoneyView = Field(description="Tax included.")
    lines: list[CreditedLine] = Field(description="None where an amount was credited as a whole.")


class StatementRow(BaseModel):
    """What one partner's accounts cost on a consolidated bill."""

    partner_id: str = Field(description="`direct` for a distributor's own accounts.")
    partner_name: str
    partner_code: str = Field(description="Its visible Partner ID when the bill was issued.")
    accounts: int = Field(description="How many of its accounts are on the bill.")
    net: MoneyView
    tax: MoneyView = Field(description="Its share of the bill's tax; the shares sum to it.")
    total: MoneyView


class DocumentLink(BaseModel):
    """Where a document can be downloaded for a short while, by whoever has the link."""

    url: str
    expires_at: datetime


CONSOLIDATED = "Consolidated bill"
_MOST_LINES = 2_000
"""A forecast with more lines has one per partner and service; one with more of these, one per service. An answer
can hold 6 MB, and a line with the longest of names takes 1.5 kB."""


def billing_method(distributor: "Distributor", credit_balance: Money) -> BillingMethod:
    return BillingMethod.model_validate(
        {
            "method": distributor.billing_method,
            "currency": distributor.currency,
            "payment_day": int(distributor.payment_day),
            "credit_balance": money(credit_balance),
        }
    )


def payment_details(distributor: "Distributor", stored: "PaymentDetailsRecord | None") -> PaymentDetailsShown:
    known: dict[str, Any] = {
        "billing_email": distributor.email,
        "company": distributor.name,
        "tax_id": distributor.tax_id,
        "country": distributor.country,
    }
    return PaymentDetailsShown.model_validate(
        {
            **dict.fromkeys(PaymentDetailsShown.model_fields),
            "delivery": "attachment",
            **(known if stored is None else stored.form),
            "complete": stored is not None,
            "currency": distributor.currency,
            "payment_day": int(distributor.payment_day),
        }
    )


def described(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """How the audit trail tells of new payment details: which, not what they say. Empty where nothing changes."""
    changed = [name.replace("_", " ") for name, value in after.items() if before.get(name) != value]
    return f"Updated billing details: {', '.join(changed)}" if changed else ""


def prices(record: "PriceBookRecord") -> Prices:
    terms = PriceTerms.model_validate(record.prices).model_dump(mode="json")
    return Prices.model_validate({**terms, "effective_on": record.effective_on})


def price_list(versions: Sequence["PriceBookRecord"], today: date) -> PriceList:
    """Of the versions, oldest first."""
    in_effect = [version for version in versions if version.effective_on <= today]
    return PriceList(
        in_effect=prices(in_effect[-1]) if in_effect else None,
        upcoming=[prices(version) for version in versions if version.effective_on > today],
    )


def credit_note_row(note: "CreditNote") -> CreditNoteRow:
    total = total_of_bill(note)
    return CreditNoteRow.model_validate(
        {
            "reference": note.reference,
            "bill_reference": note.bill_reference,
            "issue_date": note.issued_on,
            "reason": note.reason,
            "net": money(total.net),
            "tax": money(total.tax),
            "amount": money(total.gross),
            "lines": [
                {
                    "account_id": line.account_id,
                    "account_name": line.account_name,
                    "service": line.service,
                    "kind": line.kind,
                    "quantity": f"{line.quantity.normalize():f}",
                    "amount": money(Money(line.amount, note.currency)),
                }
                for line in lines_of(note)
            ],
        }
    )


def statement_row(statement: "Statement") -> StatementRow:
    return StatementRow(
        partner_id=statement.partner_id,
        partner_name=statement.name,
        partner_code=statement.code,
        accounts=statement.accounts,
        net=money(statement.net),
        tax=money(statement.tax),
        total=money(statement.gross),
    )


def forecast(outlook: "Outlook") -> Forecast:
    expected = outlook.forecast
    return Forecast(
        **money(expected.amount).model_dump(),
        low=money(expected.low),
        high=money(expected.high),
        method=expected.method,
        billed_on=outlook.billed_on,
    )


def subscription(account: "Account", now: datetime) -> Subscription:
    """The plan; a trial that is over is what it has become."""
    return plan_of(account, now) or "trial"


def status_row(listed: "Listed", now: datetime) -> StatusRow:
    """A row of the billing status, still without the partner's name and the forecast."""
    account, standing = listed.account, listed.standing
    if standing is None:
        raise ValueError(f"No standing was loaded for {account.account_id}.")
    return StatusRow.model_validate(
        {
            "account_id": account.account_id,
            "account_name": account.name,
            "email": account.email,
            "partner_id": account.node.partner,
            "account_status": listed.status,
            "backup_status": account.backup_status,
            "billing_status": standing.status,
            "subscription": subscription(account, now),
            "renewal_date": renewal_on(account, now),
            "amount_due": _unless_zero(standing.owed),
        }
    )


def completed(
    page: "Page[StatusRow]", partner_names: Mapping[str, str], outlooks: Mapping[str, "Outlook"]
) -> "Page[StatusRow]":
    """The rows of a page with what is loaded for these rows only."""
    for row in page.items:
        outlook = outlooks.get(row.account_id)
        row.partner_name = partner_names.get(row.partner_id)
        row.next_payment_forecast = forecast(outlook) if outlook else None
    return page


def account_billing(
    listed: "Listed",
    standing: "Standing",
    open_lines: Iterable["OpenLine"],
    partner_name: str | None,
    outlook: "Outlook | None",
    price_book: "PriceBook | None",
    now: datetime,
) -> AccountBilling:
    account = listed.account
    return AccountBilling(
        account_id=account.account_id,
        account_name=account.name,
        email=account.email,
        partner_id=account.node.partner,
        partner_name=partner_name,
        account_status=listed.status,
        billing_status=standing.status,
        subscription=subscription(account, now),
        subscribed_on=(ended_trial(account, now) or Change()).get("subscribed_on") or account.subscribed_on,
        renewal_date=renewal_on(account, now),
        amount_due=_unless_zero(standing.owed),
        last_paid=money(standing.last_paid) if standing.last_paid else None,
        open_bills=[_open_bill(line) for line in open_lines],
        next_payment_forecast=forecast(outlook) if outlook else None,
        prices=_service_prices(price_book) if price_book else [],
    )


def bill_forecast(next_bill: "NextBill", tax_name: str | None) -> BillForecast:
    currency = next_bill.total.gross.currency
    lines_per, shown = _bounded_lines(next_bill.lines, currency)
    return BillForecast(
        period_start=next_bill.period.start,
        period_end=next_bill.period.end,
        method=next_bill.method,
        net=money(next_bill.total.net),
        tax=money(next_bill.total.tax),
        tax_name=tax_name,
        total=money(next_bill.total.gross),
        low=money(next_bill.low),
        high=money(next_bill.high),
        lines_per=lines_per,
        lines=shown,
        accounts_without_price=list(next_bill.unpriced),
        as_of=next_bill.as_of,
    )


def history_row(bill: "Bill", today: date) -> HistoryRow:
    """An issued bill, still under the name that consolidated ones have."""
    return HistoryRow.model_validate(
        {
            "reference": bill.reference,
            "kind": bill.bill_kind,
            "account_id": bill.account_id,
            "account_name": CONSOLIDATED,
            "issue_date": bill.issued_on,
            "due_date": bill.due_on,
            "period_start": bill.period_start_on,
            "period_end": bill.period_end_on,
            "amount": money(Money(int(bill.total_minor), bill.currency)),
            "credited": money(Money(int(bill.credited_minor), bill.currency)),
            "outstanding": money(Money(int(bill.outstanding_minor), bill.currency)),
            "state": bill_state(bill, today),
            "paid_on": bill.paid_on,
            "has_csv": bill.bill_kind == "monthly",
        }
    )


def named(page: "LongPage[HistoryRow]", account_names: Mapping[str, str]) -> "LongPage[HistoryRow]":
    """The rows of a page with the names of the annual invoices' accounts, by reference."""
    for row in page.items:
        row.account_name = account_names[row.reference]
    return page


def bill_state(bill: "Bill", today: date) -> str:
    """Of an issued bill: overdue from the day after its due date on, whatever the overdue job has done."""
    return "overdue" if is_past_due(bill, today) else str(bill.state)


def _open_bill(line: "OpenLine") -> OpenBill:
    bill = line.bill
    return OpenBill.model_validate(
        {
            "reference": bill.reference,
            "kind": bill.bill_kind,
            "issue_date": bill.issued_on,
            "due_date": bill.due_on,
            "state": "overdue" if line.past_due else "issued",
            "owed": money(line.owed),
            "lines": [line_view(each, bill.currency) for each in line.lines],
        }
    )


def line_view(line: "Line", currency: str) -> LineView:
    return LineView.model_validate(_line_values(line, currency))


def _forecast_lines(lines: Iterable["Line"], currency: str) -> list[ForecastLine]:
    return [
        ForecastLine.model_validate(
            _line_values(line, currency)
            | {
                "partner_id": line.partner_id,
                "account_id": line.account_id,
                "account_name": line.account_name,
            }
        )
        for line in lines
    ]


def _bounded_lines(
    lines: Sequence["Line"], currency: str
) -> tuple[Literal["account", "partner", "service"], list[ForecastLine]]:
    """The lines as detailed as an answer can hold, and what each is of."""
    if len(lines) <= _MOST_LINES:
        return "account", _forecast_lines(lines, currency)
    of_partners = _summed_lines(lines, currency, of_partners=True)
    if len(of_partners) <= _MOST_LINES:
        return "partner", of_partners
    return "service", _summed_lines(lines, currency, of_partners=False)


def _summed_lines(lines: Iterable["Line"], currency: str, *, of_partners: bool) -> list[ForecastLine]:
    """One line for each service and kind, or of each partner for each service and kind."""
    sums: dict[tuple[str, str, str], tuple[Decimal, int]] = {}
    for line in lines:
        of = line.partner_id if of_partners else "", line.service, line.kind
        quantity, amount = sums.get(of, (Decimal(0), 0))
        sums[of] = quantity + line.quantity, amount + line.amount
    nothing = dict.fromkeys(("account_id", "account_name", "unit_price", "discount", "days", "of_days"))
    return [
        ForecastLine.model_validate(
            nothing
            | {"partner_id": partner_id or None, "service": service, "kind": kind}
            | {"quantity": f"{quantity:f}", "amount": money(Money(amount, currency))}
        )
        for (partner_id, service, kind), (quantity, amount) in sorted(sums.items())
    ]


def _line_values(line: "Line", currency: str) -> dict[str, object]:
    return {
        "service": line.service,
        "kind": line.kind,
        "quantity": f"{line.quantity:f}",
        "unit_price": money(Money(line.unit_price, currency)),
        "discount": f"{line.discount:f}",
        "days": line.days,
        "of_days": line.of_days,
        "amount": money(Money(line.amount, currency)),
    }


def _service_prices(price_book: "PriceBook") -> list[ServicePrice]:
    return [
        ServicePrice(
            service=Service(service),
            monthly=Money(price.monthly, price_book.currency).amount,
            annual=Money(price.annual, price_book.currency).amount,
            discount=f"{price_book.discount:f}",
            currency=price_book.currency,
            has_tiers=bool(price.tiers),
        )
        for service, price in price_book.services.items()
    ]


def _unless_zero(value: Money) -> MoneyView | None:
    return money(value) if value.minor else None
