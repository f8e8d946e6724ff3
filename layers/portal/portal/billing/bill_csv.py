"""A consolidated bill as CSV, from what was frozen when it was issued: the same bytes every time."""

from collections.abc import Iterator
from datetime import timedelta

from portal import csv_cells
from portal.billing import bill_text
from portal.billing.lines import FrozenBill
from portal.billing.rating import Line
from portal.billing.statements import check_is_on, named
from portal.csv_cells import Cell
from portal.money import Money
from portal.tree import DIRECT

_COLUMNS = (
    "Reference", "Period start", "Period end", "Partner", "Partner ID", "Account", "E-mail", "Account ID",
    "Service", "Kind", "Quantity", "Unit price", "Discount", "Days", "Days of period", "Amount", "Currency",
)  # fmt: skip


def render(bill: FrozenBill, *, only_partner: str | None = None) -> bytes:
    """One row per line, before tax, of all partners or one; UTF-8 as spreadsheets recognise it. The period's end is its
    last day.
    """
    text = csv_cells.lines([_COLUMNS, *_rows(bill, only_partner)])
    return (csv_cells.BYTE_ORDER_MARK + text).encode()


def render_statement(bill: FrozenBill, *, partner_id: str) -> bytes:
    """The rows of one partner's accounts (`direct`: of the distributor's own).

    Raises:
        NotFound: none of them is on the bill.
    """
    check_is_on(bill, partner_id)
    return render(bill, only_partner=partner_id)


def _rows(bill: FrozenBill, only_partner: str | None) -> Iterator[tuple[Cell, ...]]:
    called = {partner_id: named(bill, partner_id) for partner_id in (*bill.partners, DIRECT)}
    for line in bill.lines:
        if only_partner in (None, line.partner_id):
            partner = called.get(line.partner_id, (line.partner_id, line.partner_id))
            yield (*_period(bill), *partner, *_line(line, bill.total.gross.currency))


def _period(bill: FrozenBill) -> tuple[Cell, ...]:
    last_day = bill.period.end - timedelta(days=1)
    return bill.reference, bill.period.start.isoformat(), last_day.isoformat()


def _line(line: Line, currency: str) -> tuple[Cell, ...]:
    return (
        line.account_name,
        line.account_email,
        line.account_id,
        bill_text.SERVICES.get(line.service, line.service),
        line.kind,
        bill_text.number(line.quantity),
        Money(line.unit_price, currency).amount,
        bill_text.percent(line.discount),
        line.days,
        line.of_days,
        Money(line.amount, currency).amount,
        currency,
    )
