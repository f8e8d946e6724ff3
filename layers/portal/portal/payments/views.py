"""Cards and payment pages as answers show them."""

from datetime import date, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from portal.money import Money
from portal.money_view import MoneyView, money
from portal.operation import SecretAnswer
from portal.settings import settings

if TYPE_CHECKING:
    from portal.adapters.stripe import SetUp
    from portal.payments.records import Card as StoredCard
    from portal.payments.records import Payer
    from portal.payments.records import PaymentPage as StoredPage


class Card(BaseModel):
    """A card, as far as this system knows it."""

    card_id: str
    brand: str = Field(examples=["visa"])
    last4: str = Field(examples=["4242"])
    exp_month: int
    exp_year: int
    active: bool = Field(description="Whether consolidated bills are charged to it.")
    expired: bool


class CardSetUp(SecretAnswer):
    """With what the payer's browser hands a card to the payment provider."""

    set_up_id: str
    client_secret: str = Field(description="Lets a browser complete this set-up intent.")
    publishable_key: str = Field(description="What the browser shows the payment provider.")


class PaymentPage(BaseModel):
    """Where a bill can be paid until the page expires."""

    reference: str
    url: str
    expires_at: datetime
    amount: MoneyView


def card(shown: "StoredCard", payer: "Payer | None", today: date) -> Card:
    """A card is good to the end of the month that it names."""
    return Card(
        card_id=shown.card_id,
        brand=shown.brand,
        last4=shown.last4,
        exp_month=int(shown.exp_month),
        exp_year=int(shown.exp_year),
        active=payer is not None and shown.card_id == payer.active_card_id,
        expired=(shown.exp_year, shown.exp_month) < (today.year, today.month),
    )


def card_set_up(begun: "SetUp") -> CardSetUp:
    return CardSetUp(
        set_up_id=begun.set_up_id,
        client_secret=begun.client_secret,
        publishable_key=settings.stripe_publishable_key,
    )


def payment_page(page: "StoredPage", reference: str, currency: str) -> PaymentPage:
    return PaymentPage(
        reference=reference,
        url=page.url or "",
        expires_at=page.offered_until,
        amount=money(Money(int(page.amount_minor), currency)),
    )
