"""Price books as they are stored, sent and shown: one shape for all three.

Prices are decimal texts in the book's currency, because that is how they are agreed on; rating works with
minor units.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from portal.billing import records
from portal.billing.rating import PriceBook, ServicePrice, Tier
from portal.billing.usage import DEFAULT_WEIGHTS
from portal.errors import Conflict, FieldError, Invalid
from portal.money import Money, exponent_of
from portal.scope import Scope
from portal.services import Service
from portal.tree import Node

if TYPE_CHECKING:
    from portal.distributors.records import Distributor

Amount = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,4})?$")]
Fraction = Annotated[str, StringConstraints(pattern=r"^(0(\.[0-9]{1,6})?|1(\.0{1,6})?)$")]
Weight = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?$")]


class EffectiveInThePast(Invalid):
    detail = (
        "Prices take effect tomorrow or later; a distributor's first ones from its first billing period on."
    )


class AlreadyInEffect(Conflict):
    detail = "The prices of that day are in effect already; set others from a later day on."


class WrongCurrency(Invalid):
    """Prices in another currency than the distributor's."""


class TierTerms(BaseModel, extra="forbid"):
    """From this quantity on, every unit of the account costs this."""

    minimum: Annotated[int, Field(ge=1, le=10_000_000)]
    monthly: Amount
    annual: Amount


class ServiceTerms(BaseModel, extra="forbid"):
    """What one billable entity of a service costs before discount."""

    monthly: Amount
    annual: Amount
    tiers: Annotated[list[TierTerms], Field(max_length=20)] = []
    quantity: Literal["peak", "average", "last"] = "peak"
    """Which of a period's daily counts is billed."""
    weights: dict[Literal["active", "archived", "inactive"], Weight] = {}
    """How much an entity of a status counts; unnamed ones as usual: active and archived 1, inactive 0."""


class PriceTerms(BaseModel, extra="forbid"):
    """A distributor's prices from a date on. `discount` is a fraction: "0.4" is 40 %."""

    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    discount: Fraction = "0"
    services: dict[Service, ServiceTerms]

    @model_validator(mode="after")
    def _rateable(self) -> "PriceTerms":
        price_book(self, date.min)
        return self


def price_book(terms: PriceTerms, effective_on: date) -> PriceBook:
    """The terms as rating wants them.

    Raises:
        ValueError: unknown currency, more decimals than it has, or two tiers from the same quantity on.
    """
    exponent_of(terms.currency)

    def minor(amount: str) -> int:
        return Money.parse(amount, terms.currency).minor

    def weights(given: dict[Any, str]) -> MappingProxyType[Any, Decimal]:
        return MappingProxyType(
            {**DEFAULT_WEIGHTS, **{status: Decimal(weight) for status, weight in given.items()}}
        )

    return PriceBook(
        effective_on=effective_on,
        currency=terms.currency,
        discount=Decimal(terms.discount),
        services={
            service: ServicePrice(
                monthly=minor(each.monthly),
                annual=minor(each.annual),
                tiers=tuple(
                    Tier(tier.minimum, minor(tier.monthly), minor(tier.annual)) for tier in each.tiers
                ),
                method=each.quantity,
                weights=weights(dict(each.weights)),
            )
            for service, each in terms.services.items()
        },
    )


def book_of(record: records.PriceBookRecord) -> PriceBook:
    return price_book(PriceTerms.model_validate(record.prices), record.effective_on)


def books(scope: Scope, distributor: Node) -> list[PriceBook]:
    """All versions of a distributor's prices, oldest first."""
    return [book_of(record) for record in records.list_price_books(scope, distributor)]


def in_effect(versions: Iterable[PriceBook], on: date) -> PriceBook | None:
    """The version in effect on a day, if one is."""
    return max(
        (book for book in versions if book.effective_on <= on),
        key=lambda book: book.effective_on,
        default=None,
    )


def check_new(
    distributor: "Distributor",
    versions: Iterable[records.PriceBookRecord],
    terms: PriceTerms,
    effective_on: date,
    today: date,
) -> None:
    """Whether these terms can take effect on that day.

    Raises:
        EffectiveInThePast: what was used since is already rated, or about to be, at the prices of that day; terms that
            begin today may be invoiced.
        AlreadyInEffect: there are prices from today on.
        WrongCurrency: a distributor has one currency.
    """
    if terms.currency != distributor.currency:
        raise WrongCurrency(
            errors=(FieldError("currency", f"The distributor's currency is {distributor.currency}."),)
        )
    begun = [version.effective_on for version in versions if version.effective_on <= today]
    if effective_on == today and effective_on in begun:
        raise AlreadyInEffect
    if effective_on < (today + timedelta(days=1) if begun else min(today, distributor.billed_from_on)):
        raise EffectiveInThePast(errors=(FieldError("effective_on", EffectiveInThePast.detail),))


def weights_by_service(versions: Iterable[PriceBook], on: date) -> dict[str, Any]:
    """How much each service's entities count on a day, by the prices in effect then; services without a price
    as usual.
    """
    book = in_effect(versions, on)
    return {service: price.weights for service, price in book.services.items()} if book else {}
