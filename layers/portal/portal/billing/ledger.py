"""The books: every bill, credit note and payment is an entry whose postings sum to zero.

A posting is `[ledger account, minor units]`, debits positive: `receivable` (what the distributor owes),
`revenue`, `tax` (owed to the tax office) and `bank`.
"""

from datetime import datetime

from portal import ids, keys
from portal.billing.rating import Total
from portal.billing.records import LedgerEntry
from portal.money import Money
from portal.tree import Node


def issued(distributor: Node, document: str, total: Total, at: datetime) -> LedgerEntry:
    """A bill: owed as a whole, earned net, the tax passed on."""
    postings = [("receivable", total.gross.minor), ("revenue", -total.net.minor), ("tax", -total.tax.minor)]
    return _entry(distributor, document, total.gross.currency, postings, at)


def received(distributor: Node, document: str, amount: Money, at: datetime) -> LedgerEntry:
    """Money for a bill."""
    return _entry(
        distributor, document, amount.currency, [("bank", amount.minor), ("receivable", -amount.minor)], at
    )


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
