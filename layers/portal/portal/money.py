"""Money: an integer count of minor units (cents) and an ISO 4217 currency.

Decimals and fractions exist only on the way to an amount; `round_half_up` is the one place where they end.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Self

# Legal tender of ISO 4217; its fund codes, metals and test codes are nobody's bill.
_CURRENCIES_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY
        COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF
        IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR
        MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG
        SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES
        WST XCD XCG YER ZAR ZMW ZWG
    """,
    3: "BHD IQD JOD KWD LYD OMR TND",
}
_EXPONENTS = {code: exponent for exponent, codes in _CURRENCIES_BY_EXPONENT.items() for code in codes.split()}
_DECIMAL_STRING = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")


class UnknownCurrency(ValueError):
    """Not the ISO 4217 code, in capitals, of a currency in use."""


class CurrencyMismatch(ValueError):
    """Two currencies in one sum or comparison."""


def exponent_of(currency: str) -> int:
    """How many decimals the currency has: 2 for EUR, 0 for JPY, 3 for KWD. Raises UnknownCurrency."""
    try:
        return _EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(f"{currency!r} is not an ISO 4217 currency.") from None


def round_half_up(value: int | Decimal | Fraction) -> int:
    """The nearest integer, a half away from zero: rounding -x gives the negative of rounding x."""
    exact = abs(Fraction(value))
    rounded = (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
    return -rounded if value < 0 else rounded


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` counts the currency's smallest units: Money(11232, "EUR") is 112.32 euro."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent_of(self.currency)
        if type(self.minor) is not int:
            raise TypeError(f"Minor units are an int, not {self.minor!r}.")

    @classmethod
    def zero(cls, currency: str) -> Self:
        return cls(0, currency)

    @classmethod
    def rounded(cls, amount: int | Decimal | Fraction, currency: str) -> Self:
        """`amount` in whole currency units (euro, not cents), rounded half-up to the minor unit."""
        return cls(round_half_up(Fraction(amount) * 10 ** exponent_of(currency)), currency)

    @classmethod
    def parse(cls, text: str, currency: str) -> Self:
        """Read "112.32"; raises ValueError on anything else, also on more decimals than the currency has."""
        exponent = exponent_of(currency)
        match = _DECIMAL_STRING.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a decimal amount.")
        sign, whole, decimals = match[1], match[2], match[3] or ""
        if len(decimals) > exponent:
            raise ValueError(f"{text!r} has more decimals than {currency}, which has {exponent}.")
        return cls(int(sign + whole + decimals.ljust(exponent, "0")), currency)

    @property
    def amount(self) -> str:
        """The decimal string with exactly the currency's decimals: "112.32"; `parse` reads it back."""
        exponent = exponent_of(self.currency)
        digits = str(abs(self.minor)).rjust(exponent + 1, "0")
        sign = "-" if self.minor < 0 else ""
        return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}" if exponent else f"{sign}{digits}"

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same_currency(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same_currency(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __mul__(self, times: int) -> "Money":
        return Money(self.minor * times, self.currency)

    __rmul__ = __mul__

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same_currency(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same_currency(other)

    def __gt__(self, other: "Money") -> bool:
        return self.minor > self._same_currency(other)

    def __ge__(self, other: "Money") -> bool:
        return self.minor >= self._same_currency(other)

    def _same_currency(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} in one sum.")
        return other.minor


def total_of(amounts: Iterable[Money], currency: str) -> Money:
    """Their sum; zero of `currency` when there are none. Raises CurrencyMismatch."""
    return sum(amounts, start=Money.zero(currency))


def allocate(total: int, weights: Sequence[int | Decimal | Fraction]) -> list[int]:
    """Split `total` minor units in proportion to `weights`, by largest remainder: the shares sum to it.

    Each share is within one minor unit of its exact value; of equal remainders the earlier gets the unit; the
    shares of -total are the negatives of those of total. Raises ValueError where the weights sum to zero and
    total is not 0.
    """
    whole = sum((Fraction(weight) for weight in weights), start=Fraction(0))
    if total == 0:
        return [0] * len(weights)
    if whole == 0:
        raise ValueError("There is nothing to share the total out by.")
    exact = [abs(total) * Fraction(weight) / whole for weight in weights]
    shares = [share.numerator // share.denominator for share in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: shares[i] - exact[i])
    for i in by_remainder[: abs(total) - sum(shares)]:
        shares[i] += 1
    return shares if total > 0 else [-share for share in shares]
