"""Amounts as the payment provider counts them, which for some currencies is not as ISO 4217 does.

- Icelandic krona and Ugandan shilling have no decimals, and are given with two, which have to be 00.
- Malagasy ariary has two decimals by ISO 4217, and none there: only whole ariary can be charged.
- Of currencies with three decimals the last digit has to be 0.

Source: https://docs.stripe.com/currencies#minor-units
"""

_TWO_DECIMALS_MORE = frozenset({"ISK", "UGX"})
_TWO_DECIMALS_LESS = frozenset({"MGA"})
_LAST_DIGIT_IS_0 = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})

BANK_TRANSFERS = {
    "USD": "us_bank_transfer",
    "EUR": "eu_bank_transfer",
    "GBP": "gb_bank_transfer",
    "JPY": "jp_bank_transfer",
    "MXN": "mx_bank_transfer",
}
"""What it calls bank transfers, by currency; it takes none in others."""


def counted_there(minor: int, currency: str) -> int:
    """Minor units of ISO 4217 as the provider's.

    Raises:
        ValueError: the provider cannot charge this amount.
    """
    if currency in _TWO_DECIMALS_MORE:
        return minor * 100
    if currency in _TWO_DECIMALS_LESS:
        whole, rest = divmod(minor, 100)
        if rest:
            raise ValueError(f"Only whole amounts can be charged in {currency}.")
        return whole
    if currency in _LAST_DIGIT_IS_0 and minor % 10:
        raise ValueError(f"The last digit of an amount in {currency} has to be 0.")
    return minor


def counted_here(amount: int, currency: str) -> int:
    """The provider's units as minor units of ISO 4217; it has no amounts between two of those."""
    if currency in _TWO_DECIMALS_MORE:
        return amount // 100
    return amount * 100 if currency in _TWO_DECIMALS_LESS else amount
