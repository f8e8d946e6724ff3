"""Distributors of any size, stored at once, and what must be true of their books whatever happens."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from portal import keys
from portal.accounts.records import Account, AccountPath, DirectoryEntry, Renewal, list_directory
from portal.billing.lines import lines_of, tax_of
from portal.billing.rating import Line, total
from portal.billing.records import (
    Bill,
    BillReference,
    Payment,
    PriceBookRecord,
    list_bills,
    list_credit_notes,
    list_ledger,
    list_parts,
    list_payments,
    new_usage,
)
from portal.distributors.records import Distributor, schedule
from portal.journal import OutboxMessage
from portal.payments.records import find_credit_balance
from portal.periods import next_payment_date, period_containing
from portal.scope import EVERYTHING
from portal.table import Item, Put, find, query, stage
from portal.tree import Node
from tests.world import World

EXCHANGE, SALESFORCE, DROPBOX = "microsoft_365_exchange", "salesforce", "dropbox"
PRICES = {
    "currency": "USD",
    "discount": "0.4",
    "services": {
        EXCHANGE: {"monthly": "3.00", "annual": "30.00"},
        SALESFORCE: {"monthly": "2.05", "annual": "20.50"},
    },
}
"""1.80 a month and 18.00 a year for an Exchange mailbox."""


_MONEY_LIES_AT = {
    "bank_transfer": "bank",
    "credit_card": "provider",
    "payment_page": "provider",
    "credit_balance": "credit_balance",
}
"""Of how something was paid, the ledger's account."""


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def store(records: Iterable[Item]) -> None:
    """Put new records into the table, many at a time."""
    with Item.batch_write() as batch:
        for record in records:
            stage(Put(record))
            batch.save(record)


def a_payer(
    on: date,
    name: str = "north",
    *,
    payment_day: int = 24,
    prices: Mapping[str, Any] | None = PRICES,
    **values: Any,
) -> Node:
    """A distributor that was created on a day, with the schedule and the prices it then has."""
    store(payer_records(on, name, payment_day=payment_day, prices=prices, **values))
    return Node(f"dst_{name}")


def payer_records(
    on: date,
    name: str = "north",
    *,
    payment_day: int = 24,
    prices: Mapping[str, Any] | None = PRICES,
    **values: Any,
) -> list[Item]:
    """The records of such a distributor."""
    node = Node(f"dst_{name}")
    period = period_containing(payment_day, on)
    terms: dict[str, Any] = {
        "currency": "USD",
        "billing_method": "invoice",
        "tax_rate": Decimal("0.17"),
        "tax_name": "VAT",
    } | values
    records: list[Item] = [
        Distributor(
            keys.node(node),
            keys.NODE,
            distributor_id=node.distributor,
            name=f"{name.title()} Distribution",
            email=f"office@{name}.example.com",
            country="Luxembourg",
            business="distributor",
            payment_day=payment_day,
            billed_from_on=period.start,
            created_at=midnight(on),
            **terms,
        ),
        schedule(node, "monthly", midnight(next_payment_date(payment_day, on))),
    ]
    if prices is not None:
        records.append(priced(node, period.start, prices))
    return records


def priced(distributor: Node, from_on: date, prices: Mapping[str, Any]) -> PriceBookRecord:
    return PriceBookRecord(
        keys.node(distributor), keys.prices(from_on), effective_on=from_on, prices=dict(prices)
    )


def an_account(
    distributor: Node,
    number: int = 1,
    *,
    counts: Mapping[str, Iterable[tuple[date, int]]] | int = 1,
    subscribed_on: date | None = date(2022, 6, 1),
    plan: str | None = "monthly",
    partner: str = "direct",
    **values: Any,
) -> list[Item]:
    """The records of an account. `counts` says from which day on it had how many billable entities of a
    service; a number stands for so many Exchange mailboxes all along.
    """
    account_id = f"acc_{number:06d}"
    node = distributor.child(partner).child(account_id)
    by_service = {EXCHANGE: [(date(2022, 1, 1), counts)]} if isinstance(counts, int) else counts
    facts = {
        service: [[day.isoformat(), count, 1] for day, count in rows] for service, rows in by_service.items()
    }
    attributes: dict[str, Any] = {
        "state": "subscribed" if plan else "trial",
        "plan": plan,
        "subscribed_on": subscribed_on if plan else None,
        "subscription_default": {"mode": "trial_with_expiration", "plan": None},
    }
    records: list[Item] = [
        Account(
            keys.node(node),
            keys.NODE,
            account_id=account_id,
            name=f"Customer {number}",
            email=f"customer{number}@example.com",
            **attributes | values,
        ),
        DirectoryEntry(
            keys.node(distributor), keys.directory(account_id), account_id=account_id, partner_id=partner
        ),
        AccountPath(*keys.account_path(account_id), path=str(node)),
        new_usage(node, facts=facts, entities_from_on=date(2022, 1, 1)),
    ]
    if plan == "annual" and subscribed_on and "ended_on" not in values:
        records.append(Renewal(keys.node(node), keys.RENEWAL, due_at=midnight(subscribed_on)))
    return records


def node_of(distributor: Node, number: int = 1, partner: str = "direct") -> Node:
    return distributor.child(partner).child(f"acc_{number:06d}")


def run_month(world: World, as_of: datetime | None = None) -> int:
    """The monthly job and its workers; returns how many messages they took."""
    world.run("billing.run_monthly_billing", as_of)
    return world.work("billing.on_billing_due", "Billing")


def run_year(world: World) -> int:
    """The annual job and its workers."""
    world.run("billing.run_annual_billing")
    return world.work("billing.on_billing_due", "Billing")


def run_overdue(world: World) -> int:
    world.run("billing.run_overdue")
    return world.work("billing.on_bill_due", "Overdue")


def bills(distributor: Node) -> list[Bill]:
    """By period, earliest first."""
    return list(list_bills(EVERYTHING, distributor))[::-1]


def lines(bill: Bill) -> list[Line]:
    return [line for part in list_parts(EVERYTHING, bill) for line in lines_of(part)]


def outcomes(bill: Bill) -> dict[str, str]:
    """What became of each account, by account id."""
    return {
        entry["account_id"]: entry.get("reason") or entry["outcome"]
        for part in list_parts(EVERYTHING, bill)
        for entry in part.roster
    }


def outbox(node: Node, queue: str) -> list[Any]:
    """The bodies of all messages for a queue that were ever written beside a change."""
    return [
        each.body for each in query(OutboxMessage, keys.node(node), keys.outbox("")) if each.queue == queue
    ]


@dataclass(frozen=True)
class Books:
    """What a distributor's books say, without when it was written: two runs of the same month must agree on
    it.
    """

    bills: list[tuple[Any, ...]]
    parts: list[list[tuple[Any, Any]]]
    balances: dict[str, int]
    documents: int


def read_books(distributor: Node) -> Books:
    found = bills(distributor)
    return Books(
        bills=[
            (
                bill.sk,
                bill.state,
                bill.reference,
                int(bill.net_minor),
                int(bill.tax_minor),
                int(bill.total_minor),
            )
            for bill in found
        ],
        parts=[[(part.roster, part.lines) for part in list_parts(EVERYTHING, bill)] for bill in found],
        balances=balances(distributor),
        documents=len(outbox(distributor, "Documents")),
    )


def balances(distributor: Node) -> dict[str, int]:
    """The ledger's accounts."""
    sums: Counter[str] = Counter()
    for entry in list_ledger(EVERYTHING, distributor):
        for account, minor in entry.postings:
            sums[account] += minor
    return dict(sums)


def check_books(*distributors: Node) -> None:
    """What must never go wrong with money, over all distributors of a world (B1, B2, B3, B5, B7 and the
    numbers).
    """
    references = []
    for distributor in distributors:
        directory = [entry.account_id for entry in list_directory(EVERYTHING, distributor)]
        periods = Counter()
        for bill in bills(distributor):
            if bill.bill_kind == "monthly":
                periods[bill.period_end_on] += 1
            if bill.reference:
                references.append(int(bill.reference))
                _check_issued(distributor, bill)
            if bill.state not in ("draft", "parked"):
                _check_roster(bill, directory)
        assert set(periods.values()) <= {1}, periods
        _check_ledger(distributor)
    assert sorted(references) == list(range(10_001, 10_001 + len(references)))


def _check_issued(distributor: Node, bill: Bill) -> None:
    sums = total(lines(bill), bill.currency, tax_of(bill))
    assert (sums.net.minor, sums.tax.minor, sums.gross.minor) == (
        bill.net_minor,
        bill.tax_minor,
        bill.total_minor,
    )
    assert sums.gross.minor > 0
    for key in (
        (keys.node(distributor), keys.reference(bill.reference)),
        keys.reference_path(bill.reference),
    ):
        reference = find(BillReference, *key)
        assert reference is not None
        assert (reference.distributor_id, reference.bill_sk) == (distributor.distributor, bill.sk)
    booked = [entry for entry in list_ledger(EVERYTHING, distributor) if entry.document == bill.reference]
    assert sum(dict(entry.postings).get("revenue", 0) for entry in booked) == -bill.net_minor
    wanted = {"distributor_id": distributor.distributor, "bill_sk": bill.sk}
    assert outbox(distributor, "Documents").count(wanted) == 1


def _check_roster(bill: Bill, directory: list[str]) -> None:
    entries = [entry for part in list_parts(EVERYTHING, bill) for entry in part.roster]
    rostered = [entry["account_id"] for entry in entries]
    if bill.bill_kind == "monthly":
        assert set(rostered) <= set(directory)
    assert len(rostered) == len(set(rostered)), "an account stands twice on the roster"
    billed = {entry["account_id"] for entry in entries if entry["outcome"] == "billed"}
    assert billed == {line.account_id for line in lines(bill)}
    assert all(entry["outcome"] == "billed" or entry.get("reason") for entry in entries)


def _check_ledger(distributor: Node) -> None:
    for entry in list_ledger(EVERYTHING, distributor):
        assert sum(minor for _, minor in entry.postings) == 0
    issued = [bill for bill in bills(distributor) if bill.reference]
    for bill in issued:
        payments = list(list_payments(EVERYTHING, bill))
        assert sum(int(each.amount_minor - each.excess_minor) for each in payments) == bill.paid_minor
        _check_receipts(distributor, bill, payments)
        notes = list(list_credit_notes(EVERYTHING, distributor, bill.reference))
        assert sum(int(note.total_minor) for note in notes) == bill.credited_minor
        assert all(note.net_minor + note.tax_minor == note.total_minor for note in notes)
        assert bill.outstanding_minor >= 0
        assert (bill.outstanding_minor == 0) == (bill.state in ("paid", "credited"))
    assert balances(distributor).get("receivable", 0) == sum(bill.outstanding_minor for bill in issued)
    _check_where_money_lies(
        distributor, [each for bill in issued for each in list_payments(EVERYTHING, bill)]
    )


def _check_receipts(distributor: Node, bill: Bill, payments: list[Payment]) -> None:
    """Every payment has a receipt under a number of its own, which was asked for once."""
    numbers = sorted((each.receipt for each in payments), key=lambda number: (len(number), number))
    assert numbers == [f"{bill.reference}-{number}" for number in range(1, int(bill.payment_count) + 1)]
    wanted = {"distributor_id": distributor.distributor, "bill_sk": bill.sk}
    for payment in payments:
        assert outbox(distributor, "Documents").count(wanted | {"payment": payment.payment_id}) == 1


def _check_where_money_lies(distributor: Node, payments: Iterable[Payment]) -> None:
    """What was received and how, is where the ledger says; what was paid in excess, is the credit balance."""
    received: Counter[str] = Counter()
    kept = 0
    for payment in payments:
        received[_MONEY_LIES_AT[payment.paid_by]] += int(payment.amount_minor)
        kept += int(payment.excess_minor)
    booked = balances(distributor)
    for account in ("bank", "provider"):
        assert booked.get(account, 0) == received[account], account
    balance = find_credit_balance(EVERYTHING, distributor)
    stored = int(balance.amount_minor) if balance is not None else 0
    assert stored == kept - received["credit_balance"] == -booked.get("credit_balance", 0)
    assert stored >= 0
