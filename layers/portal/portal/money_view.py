"""Money as answers show it."""

from pydantic import BaseModel, Field

from portal.money import Money


class MoneyView(BaseModel):
    """An amount in its currency, as the decimal text people read and as the integer that programs add up."""

    amount: str = Field(examples=["112.32"])
    minor: int = Field(description="The same in the currency's smallest unit.", examples=[11232])
    currency: str = Field(description="ISO 4217", examples=["USD"])


def money(value: Money) -> MoneyView:
    return MoneyView(amount=value.amount, minor=value.minor, currency=value.currency)
