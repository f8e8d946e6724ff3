from datetime import UTC, datetime

import pytest

from portal.billing import ledger
from portal.billing.rating import Total
from portal.money import Money
from portal.tree import Node

NORTH, AT = Node("dst_north"), datetime(2023, 1, 24, tzinfo=UTC)


def total(net: int, tax: int, gross: int) -> Total:
    return Total(*(Money(minor, "USD") for minor in (net, tax, gross)))


def test_a_bill_is_owed_whole_earned_net_and_taxed() -> None:
    entry = ledger.issued(NORTH, "10001", total(1000, 170, 1170), AT)

    assert entry.postings == [["receivable", 1170], ["revenue", -1000], ["tax", -170]]
    assert (entry.document, entry.currency, entry.node) == ("10001", "USD", NORTH)


def test_without_tax_there_is_no_posting_for_it() -> None:
    assert ledger.issued(NORTH, "10001", total(1000, 0, 1000), AT).postings == [
        ["receivable", 1000],
        ["revenue", -1000],
    ]


@pytest.mark.parametrize(
    ("paid_by", "excess", "postings"),
    [
        ("bank_transfer", 0, [["bank", 500], ["receivable", -500]]),
        ("credit_card", 0, [["provider", 500], ["receivable", -500]]),
        ("payment_page", 0, [["provider", 500], ["receivable", -500]]),
        ("credit_balance", 0, [["credit_balance", 500], ["receivable", -500]]),
        ("bank_transfer", 80, [["bank", 500], ["receivable", -420], ["credit_balance", -80]]),
        ("payment_page", 500, [["provider", 500], ["credit_balance", -500]]),
    ],
)
def test_money_moves_from_what_is_owed_to_where_it_lies(
    paid_by: str, excess: int, postings: list[list[object]]
) -> None:
    entry = ledger.received(
        NORTH, "10001", Money(500, "USD"), AT, paid_by=paid_by, excess=Money(excess, "USD")
    )
    assert entry.postings == postings


def test_postings_that_do_not_sum_to_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        ledger.issued(NORTH, "10001", total(1000, 170, 1171), AT)
