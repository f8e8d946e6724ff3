from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import money
from portal.money import (
    CurrencyMismatch,
    Money,
    UnknownCurrency,
    allocate,
    exponent_of,
    round_half_up,
    total_of,
)

currencies = st.sampled_from(sorted(money._EXPONENTS))
minors = st.integers(-(10**15), 10**15)


@pytest.mark.parametrize(
    ("currency", "exponent"),
    [("EUR", 2), ("CHF", 2), ("XCG", 2), ("JPY", 0), ("ISK", 0), ("XPF", 0), ("BHD", 3), ("TND", 3)],
)
def test_a_currency_has_the_decimals_of_iso_4217(currency: str, exponent: int) -> None:
    assert exponent_of(currency) == exponent


def test_the_table_of_currencies_names_each_once_in_capitals() -> None:
    codes = " ".join(money._CURRENCIES_BY_EXPONENT.values()).split()
    assert len(codes) == len(set(codes)) == 155
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in codes)


@pytest.mark.parametrize("currency", ["", "eur", "EURO", "HRK", "XAU", "XXX", "EUR "])
def test_what_nobody_can_be_billed_in_is_no_currency(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        Money(1, currency)


@pytest.mark.parametrize("minor", [1.0, Decimal(1), Fraction(1), True, "1"])
def test_minor_units_are_whole_by_type_not_by_luck(minor: object) -> None:
    with pytest.raises(TypeError):
        Money(minor, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (11232, "EUR", "112.32"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (0, "EUR", "0.00"),
        (112, "JPY", "112"),
        (-7, "JPY", "-7"),
        (1, "KWD", "0.001"),
        (1234567, "KWD", "1234.567"),
    ],
)
def test_an_amount_is_written_with_its_currencys_decimals(minor: int, currency: str, text: str) -> None:
    assert Money(minor, currency).amount == text
    assert Money.parse(text, currency) == Money(minor, currency)
    assert str(Money(minor, currency)) == f"{text} {currency}"


def test_missing_decimals_are_zeros() -> None:
    assert Money.parse("112", "EUR") == Money(11200, "EUR")
    assert Money.parse("112.3", "EUR") == Money(11230, "EUR")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1.",
        ".5",
        "+1",
        "--1",
        "1e3",
        "1,50",
        "1_0",
        "NaN",
        "Infinity",
        "1.234",
        "\u0661",
        "1\n",
    ],
)
def test_what_is_not_a_decimal_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        Money.parse(text, "EUR")


@given(minors, currencies)
def test_writing_and_reading_gives_the_same_money(minor: int, currency: str) -> None:
    assert Money.parse(Money(minor, currency).amount, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("0.5", 1), ("-0.5", -1), ("1.5", 2), ("2.5", 3), ("0.49999999999999999999999999", 0)],
)
def test_a_half_rounds_away_from_zero(value: str, rounded: int) -> None:
    assert round_half_up(Decimal(value)) == rounded


def test_a_fraction_no_decimal_can_hold_rounds_exactly() -> None:
    sliver = Fraction(1, 3 * 10**40)
    assert round_half_up(Fraction(1, 2) - sliver) == 0
    assert round_half_up(Fraction(1, 2) + sliver) == 1


@given(st.decimals(-(10**9), 10**9, places=5), currencies)
def test_rounding_to_minor_units_agrees_with_decimals_own(amount: Decimal, currency: str) -> None:
    unit = Decimal(1).scaleb(-exponent_of(currency))
    rounded = Money.rounded(amount, currency)
    assert Decimal(rounded.amount) == amount.quantize(unit, ROUND_HALF_UP)
    assert Money.rounded(-amount, currency) == -rounded


def test_arithmetic_within_a_currency() -> None:
    two, three = Money(2, "EUR"), Money(3, "EUR")
    assert two + three == Money(5, "EUR")
    assert two - three == Money(-1, "EUR") == -Money(1, "EUR")
    assert two * 4 == 4 * two == Money(8, "EUR")
    assert two < three and two <= two and three > two and three >= three
    assert not (three < two or three <= two or two > three or two >= three or two > two or two < two)
    assert total_of([two, three, three], "EUR") == Money(8, "EUR")
    assert total_of([], "EUR") == Money.zero("EUR") == Money(0, "EUR")


@pytest.mark.parametrize("operator", ["__add__", "__sub__", "__lt__", "__le__", "__gt__", "__ge__"])
def test_two_currencies_never_meet(operator: str) -> None:
    with pytest.raises(CurrencyMismatch):
        getattr(Money(0, "EUR"), operator)(Money(0, "USD"))


def test_a_sum_in_another_currency_is_refused_and_equality_is_not_fooled() -> None:
    with pytest.raises(CurrencyMismatch):
        total_of([Money(0, "EUR")], "USD")
    assert Money(0, "EUR") != Money(0, "USD")


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (170, [800, 200], [136, 34]),
        (1, [1, 2], [0, 1]),
        (1, [0, 0, 7], [0, 0, 1]),
        (5, [Decimal("0.5"), Fraction(1, 2)], [3, 2]),
        (0, [0, 0], [0, 0]),
        (0, [], []),
        (-100, [-1, -3], [-25, -75]),
    ],
)
def test_allocation_by_largest_remainder(total: int, weights: list[int], shares: list[int]) -> None:
    assert allocate(total, weights) == shares


@pytest.mark.parametrize("weights", [[], [0], [1, -1]])
def test_nothing_to_share_by_is_an_error(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="nothing to share"):
        allocate(1, weights)


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**6), min_size=1).filter(any))
def test_shares_sum_to_the_total_and_are_within_a_unit_of_exact(total: int, weights: list[int]) -> None:
    shares = allocate(total, weights)
    assert sum(shares) == total
    assert all(
        abs(share - Fraction(total * weight, sum(weights))) < 1
        for share, weight in zip(shares, weights, strict=True)
    )
    assert allocate(-total, weights) == [-share for share in shares]
    assert all(share == 0 for share, weight in zip(shares, weights, strict=True) if weight == 0)


@given(st.integers(0, 10**6), st.lists(st.integers(1, 100), min_size=2))
def test_a_greater_weight_never_gets_less_and_ties_go_to_the_earlier(total: int, weights: list[int]) -> None:
    ranked = sorted(zip(weights, range(0, -len(weights), -1), allocate(total, weights), strict=True))
    given_shares = [share for _, _, share in ranked]
    assert given_shares == sorted(given_shares)
