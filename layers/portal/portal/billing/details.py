"""Payment details: who pays a distributor's bills, where they go, in which currency and on which day of the month.

One shape for what is sent, stored and shown. Countries are checked by pycountry (ISO 3166), telephone numbers by
phonenumbers (the national numbering plans), tax ids by python-stdnum (the countries' own check digits); they are
imported when a form comes, because nothing else needs them.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from portal.errors import Conflict
from portal.fields import Currency, Line, Name
from portal.identity.emails import Email
from portal.money import exponent_of

if TYPE_CHECKING:
    from portal.distributors.records import Distributor

_TAX_IDS = ("vat", "tin", "ein", "gst", "pan", "cnpj", "abn", "cn", "uid", "businessid")
"""What python-stdnum calls the numbers by which countries know a company."""


class FixedAfterTheFirstBill(Conflict):
    detail = "Currency and payment day are fixed once the first bill is in the making; contact support to change them."


class PricesAgreed(Conflict):
    """The currency of prices that are agreed on already."""


def _country(code: str) -> str:
    import pycountry

    if pycountry.countries.get(alpha_2=code.upper()) is None:
        raise ValueError("Give the country's two-letter code (ISO 3166-1), such as LU.")
    return code.upper()


def _phone(text: str) -> str:
    import phonenumbers

    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        raise ValueError("Give the number with its country code, such as +352 27 12 34 56.") from None
    if not phonenumbers.is_valid_number(number):
        raise ValueError("No such telephone number is given out.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _in_use(currency: str) -> str:
    exponent_of(currency)
    return currency


KnownCurrency = Annotated[Currency, AfterValidator(_in_use)]
CountryCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$"), AfterValidator(_country)]
PhoneNumber = Annotated[str, StringConstraints(strip_whitespace=True, max_length=40), AfterValidator(_phone)]
Street = Annotated[Line, Field(min_length=1)]


class PaymentDetails(BaseModel, extra="forbid"):
    """The payment details form."""

    currency: KnownCurrency
    payment_day: Annotated[int, Field(ge=1, le=31, description="In shorter months the last day.")]
    title: Annotated[Line, Field(min_length=1, max_length=30)]
    first_name: Name
    last_name: Name
    billing_email: Annotated[Email, Field(description="Gets bills, receipts and reminders.")]
    company: Name
    tax_id: Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=30)] | None = (
        None
    )
    address_line_1: Street
    address_line_2: Line = ""
    country: CountryCode
    state: Line = ""
    city: Name
    postal_code: Annotated[Line, Field(min_length=1, max_length=20)]
    phone: PhoneNumber
    delivery: Literal["link", "attachment"] = "attachment"
    """How a bill's PDF comes with its mail."""

    @model_validator(mode="after")
    def _known_to_the_tax_office(self) -> "PaymentDetails":
        if self.tax_id:
            self.tax_id = _tax_id(self.tax_id, self.country)
        return self

    @property
    def address(self) -> list[str]:
        """Lines as they stand on a bill."""
        lines = (
            f"{self.title} {self.first_name} {self.last_name}",
            self.address_line_1,
            self.address_line_2,
            f"{self.postal_code} {self.city}",
            self.state,
            country_name(self.country),
        )
        return [line for line in lines if line]


def country_name(code: str) -> str:
    """`LU` to `Luxembourg`."""
    import pycountry

    country = pycountry.countries.get(alpha_2=code)
    return code if country is None else str(getattr(country, "common_name", country.name))


def _tax_id(text: str, country: str) -> str:
    """The id in its usual form; within the European Union with the country's prefix.

    Raises:
        ValueError: the country's tax ids are known, and this is none.
    """
    from stdnum import get_cc_module
    from stdnum.eu import vat
    from stdnum.exceptions import ValidationError

    if country.lower() in vat.MEMBER_STATES or country == "GR":
        prefix = "EL" if country == "GR" else country
        given = text.upper().replace(" ", "")
        candidates: list[tuple[Any, str]] = [(vat, given if given.startswith(prefix) else prefix + given)]
    else:
        known = (get_cc_module(country.lower(), name) for name in _TAX_IDS)
        candidates = [(module, text) for module in known if module]
    for module, candidate in candidates:
        try:
            return str(module.validate(candidate))
        except ValidationError:
            continue
    if candidates:
        raise ValueError(f"This is no tax id of {country_name(country)}.")
    return text


def check_currency(currency: str, of_prices: set[str]) -> None:
    """Raises:
    PricesAgreed: there are prices, in another currency.
    """
    for other in of_prices - {currency}:
        raise PricesAgreed(f"Your prices are agreed on in {other}; contact support to change the currency.")


def check_still_free(distributor: "Distributor", details: PaymentDetails, *, billed: bool) -> None:
    """Raises:
    FixedAfterTheFirstBill: another currency or payment day, and there is a bill.
    """
    kept = (distributor.currency, int(distributor.payment_day)) == (details.currency, details.payment_day)
    if billed and not kept:
        raise FixedAfterTheFirstBill
