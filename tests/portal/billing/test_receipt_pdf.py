from datetime import date
from typing import Any

import pytest

from portal.billing import receipt_pdf
from portal.billing.receipts import Receipt
from portal.money import Money
from tests.portal.billing.bill_samples import PAYER, SELLER, texts_of


def a_receipt(**values: Any) -> Receipt:
    """For the second payment of a bill: 10.00, 1.58 of them too much."""
    known: dict[str, Any] = {
        "number": "80035-2",
        "bill_kind": "monthly",
        "bill_reference": "80035",
        "bill_issued_on": date(2023, 1, 24),
        "seller": SELLER,
        "payer": PAYER,
        "paid_by": "bank_transfer",
        "received_on": date(2023, 2, 1),
        "amount": Money(1000, "USD"),
        "excess": Money(158, "USD"),
        "owed": Money(0, "USD"),
    }
    return Receipt(**known | values)


def test_it_says_who_has_paid_what_when_and_how() -> None:
    (page,) = texts_of(receipt_pdf.render(a_receipt()))
    for text in (
        "Example Backup", "Tax id NL000099998B57", "Receipt 80035-2", "Received from", "North Distribution",
        "2 Harbour Road", "Tax id LU00000000", "1 February 2023", "Bank transfer", "For bill", "80035",
        "24 January 2023", "Received for bill 80035", "10.00 USD", "Used for bill 80035", "8.42",
        "Added to your credit balance", "1.58", "Still owed on bill 80035", "0.00",
        "Nothing is owed on bill 80035 any more. Thank you.",
        "Your credit balance pays your other open bills, the earliest due first, and your next ones.",
        "Questions about this receipt: billing@example.com", "Page 1 of 1",
    ):  # fmt: skip
        assert text in page


@pytest.mark.parametrize(
    ("paid_by", "said"),
    [
        ("bank_transfer", "Bank transfer"),
        ("credit_card", "Credit card"),
        ("payment_page", "Payment page"),
        ("credit_balance", "Credit balance"),
    ],
)
def test_a_part_of_an_invoice_leaves_the_rest(paid_by: str, said: str) -> None:
    part = a_receipt(bill_kind="annual", paid_by=paid_by, excess=Money(0, "USD"), owed=Money(123450, "USD"))
    (page,) = texts_of(receipt_pdf.render(part))
    assert said in page
    assert "Received for invoice 80035" in page
    assert "1,234.50 USD is still owed on invoice 80035. Thank you." in page
    assert "Added to your credit balance" not in page


@pytest.mark.parametrize(("currency", "shown"), [("JPY", "1,000 JPY"), ("KWD", "1.000 KWD")])
def test_amounts_have_their_currencys_decimals(currency: str, shown: str) -> None:
    amounts = {"amount": 1000, "excess": 0, "owed": 0}
    receipt = a_receipt(**{name: Money(minor, currency) for name, minor in amounts.items()})
    assert shown in texts_of(receipt_pdf.render(receipt))[0]


def test_rendering_again_gives_the_same_bytes_in_whatever_script_names_are() -> None:
    payer = PAYER | {"name": "株式会社サンプル", "address": ["Общество «Ромашка»", "Żółć"]}
    first = receipt_pdf.render(a_receipt(payer=payer))
    assert b"HeiseiKakuGo-W5" in first
    assert receipt_pdf.render(a_receipt()) != first
    assert receipt_pdf.render(a_receipt(payer=payer)) == first
    assert not [text for text in texts_of(first)[0] if text.startswith("?")]


def test_what_is_not_known_of_the_parties_is_left_out() -> None:
    seller = SELLER | {"address": [], "tax_id": "", "email": ""}
    payer = PAYER | {"address": None, "tax_id": None}
    (page,) = texts_of(receipt_pdf.render(a_receipt(seller=seller, payer=payer)))
    assert "Luxembourg" in page
    assert not [text for text in page if text.startswith(("Tax id", "Questions", "None"))]
