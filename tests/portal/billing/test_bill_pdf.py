from decimal import Decimal

import pytest

from portal.billing import bill_pdf
from portal.billing.rating import Tax
from tests.portal.billing.bill_samples import PAYER, SELLER, a_bill, texts_of


def test_it_says_who_bills_whom_for_what_and_until_when() -> None:
    (page,) = texts_of(bill_pdf.render(a_bill(["Agata Brown"])))
    for text in (
        "Example Backup", "1 Sample Street", "Tax id NL000099998B57", "Bill 80035", "North Distribution",
        "2 Harbour Road", "Tax id LU00000000", "24 January 2023", "23 February 2023",
        "24 December 2022 to 23 January 2023", "Agata Brown", "customer0@example.com",
        "Microsoft 365 Exchange", "4", "3.00", "40 %", "31/31", "7.20", "VAT 17 %", "1.22", "8.42 USD",
        "To pay by 23 February 2023", "Page 1 of 1",
        "Please transfer 8.42 USD by 23 February 2023, quoting number 80035.", "IBAN NL00 EXAM 0000 0000 00",
    ):  # fmt: skip
        assert text in page


def test_rendering_again_gives_the_same_bytes_whatever_was_rendered_between() -> None:
    bill = a_bill(["Agata Brown", "Общество «Ромашка»", "株式会社サンプル"])
    first = bill_pdf.render(bill)
    assert bill_pdf.render(a_bill(["Somebody else"])) != first
    assert bill_pdf.render(bill) == first


def test_it_holds_no_time_of_rendering() -> None:
    assert b"/CreationDate (D:20000101" in bill_pdf.render(a_bill(["Agata Brown"]))


def test_accounts_stand_under_their_partner_by_name_direct_ones_first() -> None:
    names = ["Zoe", "Adam", "Mia", "Bob", "Carl", "Dora"]
    page = texts_of(bill_pdf.render(a_bill(names, ["prt_2", "direct", "prt_1"])))[0]
    shown = page[page.index("Service") :]
    order = [text for text in shown if text in {*names, "Direct accounts", "Jacob Anderson", "Moby Systems"}]
    assert order == [
        "Direct accounts",
        "Adam",
        "Carl",
        "Jacob Anderson",
        "Dora",
        "Mia",
        "Moby Systems",
        "Bob",
        "Zoe",
    ]


def test_a_long_bill_breaks_over_pages_and_every_account_is_on_it_once() -> None:
    names = [f"Customer {number}" for number in range(250)]
    pages = texts_of(bill_pdf.render(a_bill(names, ["prt_1", "prt_2"])))
    assert [page[-1] for page in pages] == [
        f"Page {number} of {len(pages)}" for number in range(1, len(pages) + 1)
    ]
    shown = [text for page in pages for text in page if text in set(names)]
    assert sorted(shown) == sorted(names)
    assert all("Amount" in page for page in pages)
    assert "Jacob Anderson (continued)" in pages[1]
    assert sum(page.count("Total") for page in pages) == 1


def test_letters_of_many_scripts_are_in_the_fonts() -> None:
    pdf = bill_pdf.render(a_bill(["Żółć", "Ромашка", "Ελλάδα", "Nguyễn", "株式会社", "サンプル", "주식회사"]))
    for font in (b"SourceSansPro-Regular", b"STSong-Light", b"HeiseiKakuGo-W5", b"HYGothic-Medium"):
        assert font in pdf
    assert not [text for page in texts_of(pdf) for text in page if text.startswith("?")]


def test_what_no_font_has_is_shown_as_a_question_mark_and_invisible_characters_not_at_all() -> None:
    page = texts_of(bill_pdf.render(a_bill(["ab\u200b\u0007c", "عربي"])))[0]
    assert "abc" in page
    assert "????" in page


@pytest.mark.parametrize("name", ["word " * 40, "W" * 300])
def test_a_name_of_any_length_is_shown_whole(name: str) -> None:
    pages = texts_of(bill_pdf.render(a_bill([name])))
    shown = "".join(text for page in pages for text in page if set(text) <= set(name))
    assert shown.replace(" ", "") == name.replace(" ", "")


def test_an_invoice_charged_to_a_card_asks_for_no_transfer() -> None:
    (page,) = texts_of(bill_pdf.render(a_bill(["Agata Brown"], method="credit_card", kind="annual")))
    assert "Invoice 80035" in page
    assert "Credit card" in page
    assert not [text for text in page if "transfer" in text.lower() or "IBAN" in text]


def test_reverse_charge_is_noted_with_the_payers_tax_id() -> None:
    bill = a_bill(["Agata Brown"], tax=Tax(Decimal("0.17"), "VAT", reverse_charge=True))
    (page,) = texts_of(bill_pdf.render(bill))
    assert "VAT (reverse charge)" in page
    assert "Reverse charge: VAT is to be accounted for by the recipient (LU00000000)." in page
    assert page.count("7.20 USD") == 2


def test_what_is_not_known_of_the_parties_is_left_out() -> None:
    seller = SELLER | {"address": [], "tax_id": "", "bank": [], "email": ""}
    payer = PAYER | {"address": None, "tax_id": None}
    (page,) = texts_of(bill_pdf.render(a_bill(["Agata Brown"], seller=seller, payer=payer)))
    assert "Luxembourg" in page
    assert not [text for text in page if text.startswith(("Tax id", "Questions", "None"))]
