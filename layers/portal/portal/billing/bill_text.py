"""How documents put amounts, dates and quantities into words: the same on every machine."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType

from portal.billing.rating import Kind
from portal.money import Money
from portal.periods import Period

_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

SERVICES: Mapping[str, str] = MappingProxyType(
    {
        "microsoft_365_exchange": "Microsoft 365 Exchange",
        "microsoft_365_onedrive": "Microsoft 365 OneDrive",
        "microsoft_365_sharepoint": "Microsoft 365 SharePoint",
        "google_workspace": "Google Workspace",
        "salesforce": "Salesforce",
        "box": "Box",
        "dropbox": "Dropbox",
    }
)
PAID_BY: Mapping[str, str] = MappingProxyType(
    {
        "bank_transfer": "Bank transfer",
        "credit_card": "Credit card",
        "payment_page": "Payment page",
        "credit_balance": "Credit balance",
    }
)
KINDS: Mapping[Kind, str] = MappingProxyType({"monthly": "", "annual": "one year", "true_up": "growth"})


def day(on: date) -> str:
    """`24 January 2023`"""
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


def days(period: Period) -> str:
    """From the first day to the last one, both included: `24 January 2023 to 23 February 2023`."""
    return f"{day(period.start)} to {day(period.end - timedelta(days=1))}"


def amount(value: Money) -> str:
    """With thousands apart, without the currency: `1,234.50`."""
    whole, point, decimals = value.amount.partition(".")
    return f"{int(whole):,}{point}{decimals}" if value.minor >= 0 else f"-{amount(-value)}"


def with_currency(value: Money) -> str:
    """`1,234.50 USD`"""
    return f"{amount(value)} {value.currency}"


def number(value: Decimal) -> str:
    """Without superfluous zeros: `98`, `12.5`."""
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def percent(fraction: Decimal) -> str:
    """`0.17` as `17 %`"""
    return f"{number(fraction * 100)} %"


def service(name: str, kind: Kind) -> str:
    """What a line is for: `Microsoft 365 Exchange (growth)`."""
    shown = SERVICES.get(name, name)
    return f"{shown} ({KINDS[kind]})" if KINDS[kind] else shown
