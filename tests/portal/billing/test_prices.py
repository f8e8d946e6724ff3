from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from portal.billing import prices
from portal.billing.prices import AlreadyInEffect, EffectiveInThePast, PriceTerms, WrongCurrency, price_book
from portal.billing.records import PriceBookRecord
from portal.billing.usage import DEFAULT_WEIGHTS
from portal.errors import FieldError
from portal.scope import EVERYTHING
from portal.tree import Node

TODAY = date(2023, 1, 10)
TERMS = PriceTerms.model_validate(
    {"currency": "USD", "services": {"box": {"monthly": "3.00", "annual": "30.00"}}}
)
NORTH: Any = SimpleNamespace(currency="USD", billed_from_on=date(2022, 12, 24))


def version(on: date) -> Any:
    return SimpleNamespace(effective_on=on)


def check(effective_on: date, *versions: date, terms: PriceTerms = TERMS) -> None:
    prices.check_new(NORTH, [version(on) for on in versions], terms, effective_on, TODAY)


def test_prices_may_begin_tomorrow_or_later() -> None:
    check(date(2023, 1, 11), date(2022, 12, 24))
    check(date(2023, 2, 1), date(2022, 12, 24), date(2023, 2, 1))


def test_they_may_not_begin_earlier_nor_change_what_is_in_effect() -> None:
    for on in (date(2023, 1, 9), TODAY):
        with pytest.raises(EffectiveInThePast):
            check(on, date(2022, 12, 24))
    with pytest.raises(AlreadyInEffect):
        check(TODAY, TODAY)


def test_the_first_ones_may_begin_with_the_first_period() -> None:
    check(date(2022, 12, 24))
    check(date(2022, 12, 24), date(2023, 2, 1))
    check(TODAY, date(2023, 2, 1))
    with pytest.raises(EffectiveInThePast):
        check(date(2022, 12, 23))


def test_a_distributor_has_one_currency() -> None:
    with pytest.raises(WrongCurrency):
        check(TODAY, terms=TERMS.model_copy(update={"currency": "EUR"}))


def test_terms_become_minor_units_and_exact_fractions() -> None:
    terms = {
        "currency": "KWD",
        "discount": "0.125",
        "services": {
            "box": {
                "monthly": "1.5",
                "annual": "12.345",
                "tiers": [{"minimum": 10, "monthly": "1.25", "annual": "11"}],
                "quantity": "average",
                "weights": {"archived": "0.5"},
            }
        },
    }
    book = price_book(PriceTerms.model_validate(terms), TODAY)
    box = book.services["box"]
    assert (book.discount, box.monthly, box.annual, box.method) == (Decimal("0.125"), 1500, 12345, "average")
    assert [(tier.minimum, tier.monthly, tier.annual) for tier in box.tiers] == [(10, 1250, 11000)]
    assert dict(box.weights) == {"active": Decimal(1), "inactive": Decimal(0), "archived": Decimal("0.5")}


@pytest.mark.parametrize("amount", ["3.001", "-1", "1,5", "", "1e3", "٣", "1000000000"])
def test_an_amount_is_plain_decimal_text_with_the_currencys_decimals(amount: str) -> None:
    with pytest.raises(ValidationError):
        PriceTerms.model_validate(
            {"currency": "USD", "services": {"box": {"monthly": amount, "annual": "1"}}}
        )


@pytest.mark.parametrize("digits", ["\u0663", "\uff13", "1.\u0663"])
def test_weights_and_tiers_take_no_digits_of_other_scripts(digits: str) -> None:
    prices = {"monthly": "1", "annual": "1"}
    for wrong in ({"weights": {"active": digits}}, {"tiers": [{"minimum": 2, **prices, "annual": digits}]}):
        with pytest.raises(ValidationError):
            PriceTerms.model_validate({"currency": "USD", "services": {"box": prices | wrong}})
    with pytest.raises(ValidationError):
        PriceTerms.model_validate({"currency": "USD", "discount": "0.\u0663", "services": {}})


def test_the_version_in_effect_is_the_latest_that_has_begun() -> None:
    books = [price_book(TERMS, on) for on in (date(2022, 1, 1), TODAY, date(2023, 2, 1))]
    assert prices.in_effect(books, TODAY) is books[1]
    assert prices.in_effect(books, date(2021, 12, 31)) is None


def test_who_is_refused_is_told_which_field_and_why() -> None:
    with pytest.raises(EffectiveInThePast) as early:
        check(date(2023, 1, 9), date(2022, 12, 24))
    assert early.value.errors == (FieldError("effective_on", EffectiveInThePast.detail),)
    other = PriceTerms.model_validate({**TERMS.model_dump(), "currency": "EUR"})
    with pytest.raises(WrongCurrency) as foreign:
        check(TODAY, terms=other)
    assert foreign.value.errors == (FieldError("currency", "The distributor's currency is USD."),)


def stored(on: date, monthly: str = "3.00") -> PriceBookRecord:
    terms = {"currency": "USD", "services": {"box": {"monthly": monthly, "annual": "30.00"}}}
    return PriceBookRecord("D#dst_north|", f"PRICES#{on}", effective_on=on, prices=terms)


def test_what_is_stored_is_read_as_rating_wants_it() -> None:
    book = prices.book_of(stored(TODAY))

    assert (book.effective_on, book.currency, book.services["box"].monthly) == (TODAY, "USD", 300)


def test_a_distributors_versions_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {Node("dst_north"): [stored(date(2022, 1, 1), "2.00"), stored(TODAY)]}
    monkeypatch.setattr(
        prices.records, "list_price_books", lambda scope, node: {EVERYTHING: known}[scope][node]
    )

    found = prices.books(EVERYTHING, Node("dst_north"))

    assert [(book.effective_on, book.services["box"].monthly) for book in found] == [
        (date(2022, 1, 1), 200),
        (TODAY, 300),
    ]


def test_entities_weigh_what_the_prices_of_the_day_say() -> None:
    half = {
        "currency": "USD",
        "services": {"box": {"monthly": "3", "annual": "30", "weights": {"archived": "0.5"}}},
    }
    books = [price_book(TERMS, date(2022, 1, 1)), price_book(PriceTerms.model_validate(half), TODAY)]

    assert prices.weights_by_service(books, date(2021, 12, 31)) == {}
    assert prices.weights_by_service(books, date(2023, 1, 9)) == {"box": DEFAULT_WEIGHTS}
    assert prices.weights_by_service(books, TODAY) == {"box": DEFAULT_WEIGHTS | {"archived": Decimal("0.5")}}
