"""Distributors as operators see them."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field

from portal.distributors import records
from portal.money import Money
from portal.money_view import MoneyView, money

Business = Literal["distributor", "direct_partner"]
BillingMethod = Literal["credit_card", "invoice"]


class DistributorRow(BaseModel):
    distributor_id: str
    name: str
    email: str
    country: str
    business: Business = Field(description="A direct partner has accounts of its own but no partners.")
    currency: str
    billing_method: BillingMethod | None
    created_at: datetime


class Distributor(DistributorRow):
    payment_day: int = Field(description="1 to 31; in shorter months the last day.")
    billed_from: date = Field(description="First day of the first billing period.")
    tax_rate: str = Field(description="A fraction of the net total: 0.17 is 17 %.")
    tax_name: str | None
    tax_id: str | None
    reverse_charge: bool = Field(description="No tax is charged; the recipient owes it.")
    address: list[str] | None


class DistributorWithBalance(Distributor):
    credit_balance: MoneyView = Field(description="What it has paid in excess: its next bills use it up.")


def row(record: records.Distributor) -> DistributorRow:
    return DistributorRow.model_validate(_row(record))


def distributor(record: records.Distributor) -> Distributor:
    return Distributor.model_validate(
        _row(record)
        | {
            "payment_day": int(record.payment_day),
            "billed_from": record.billed_from_on,
            "tax_rate": str(record.tax_rate),
            "tax_name": record.tax_name,
            "tax_id": record.tax_id,
            "reverse_charge": record.reverse_charge,
            "address": record.address,
        }
    )


def distributor_with_balance(record: records.Distributor, balance: Money) -> DistributorWithBalance:
    shown = distributor(record).model_dump()
    return DistributorWithBalance.model_validate(shown | {"credit_balance": money(balance)})


def _row(record: records.Distributor) -> dict[str, object]:
    return {
        "distributor_id": record.distributor_id,
        "name": record.name,
        "email": record.email,
        "country": record.country,
        "business": record.business,
        "currency": record.currency,
        "billing_method": record.billing_method,
        "created_at": record.created_at,
    }
