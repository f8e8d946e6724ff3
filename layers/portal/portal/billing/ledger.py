"""The books: every bill, credit note and payment is an entry whose postings sum to zero.

A posting is `[ledger account, minor units]`, debits positive: `receivable` (what the distributor owes), `revenue`,
`tax` (owed to the tax office), `bank`, `provider` (what the payment provider has taken in) and `credit_balance` (owed
to the distributor: what it has paid in excess).
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from portal import ids, keys
from portal.billing.rating import Total
from portal.billing.records import LedgerEntry
from portal.money import Money
from portal.tree import Node


def issued(distributor: Node, document: str, total: Total, at: datetime) -> LedgerEntry:
    """A bill: owed as a whole, earned net, the tax passed on."""
    postings = [("receivable", total.gross.minor), ("revenue", -total.net.minor), ("tax", -total.tax.minor)]
    return _entry(distributor, document, total.gross.currency, postings, at)


_MONEY_LIES_AT: Mapping[str, str] = MappingProxyType(
    {
        "bank_transfer": "bank",
        "credit_card": "provider",
        "payment_page": "provider",
        "credit_balance": "credit_balance",
    }
)


def received(
    distributor: Node, document: str, amount: Money, at: datetime, *, paid_by: str, excess: Money
) -> LedgerEntry:
    """Money for a bill; what of it is `excess` is owed back."""
    postings = [
        (_MONEY_LIES_AT[paid_by], amount.minor),
        ("receivable", (excess - amount).minor),
        ("credit_balance", -excess.minor),
    ]
    return _entry(distributor, document, amount.currency, postings, at)


def credited(distributor: Node, document: str, total: Total, at: datetime) -> LedgerEntry:
    """A credit note: an issued bill's postings the other way round."""
    postings = [("receivable", -total.gross.minor), ("revenue", total.net.minor), ("tax", total.tax.minor)]
    return _entry(distributor, document, total.gross.currency, postings, at)


def _entry(
    distributor: Node, document: str, currency: str, postings: list[tuple[str, int]], at: datetime
) -> LedgerEntry:
    if sum(minor for _, minor in postings):
        raise ValueError(f"The postings of {document} do not sum to zero: {postings}")
    return LedgerEntry(
        keys.node(distributor),
        keys.ledger(at, ids.new("led", at)),
        postings=[[account, minor] for account, minor in postings if minor],
        currency=currency,
        document=document,
        created_at=at,
    )
