"""How a distributor begins, and what an operator may change of it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from portal.change import Change
from portal.errors import FieldError, Invalid
from portal.money import UnknownCurrency, exponent_of
from portal.periods import period_containing

if TYPE_CHECKING:
    from portal.distributors.records import Distributor


class InvalidTerms(Invalid):
    """Terms that do not go together; each error names its field."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """From when on a new distributor is billed, and when its jobs are due first."""

    billed_from_on: date
    usage_due_at: datetime
    monthly_due_at: datetime


def begin(payment_day: int, now: datetime) -> Beginning:
    """The first period is the one that `now` lies in: its bill is due when it ends, the first snapshot at
    midnight.
    """
    period = period_containing(payment_day, now.date())
    return Beginning(
        billed_from_on=period.start,
        usage_due_at=_midnight(now.date() + timedelta(days=1)),
        monthly_due_at=_midnight(period.end),
    )


def check_currencies(currency: str, of_prices: str | None) -> None:
    """A distributor has one currency, and its prices are in it.

    Raises:
        InvalidTerms: it is none that is in use, or the prices are in another.
    """
    try:
        exponent_of(currency)
    except UnknownCurrency as error:
        raise InvalidTerms(errors=(FieldError("currency", str(error)),)) from None
    if of_prices is not None and of_prices != currency:
        raise InvalidTerms(
            errors=(FieldError("prices.currency", f"The distributor's currency is {currency}."),)
        )


def check_tax(reverse_charge: bool, tax_id: str | None) -> None:
    """Raises InvalidTerms for reverse charge without the tax id that has to stand on the bill."""
    if reverse_charge and not tax_id:
        raise InvalidTerms(errors=(FieldError("tax_id", "Reverse charge needs the distributor's tax id."),))


def change(distributor: "Distributor", given: dict[str, Any]) -> Change:
    """The attributes that get another value; None takes one away.

    Raises:
        InvalidTerms: as `check_tax`.
    """
    check_tax(
        given.get("reverse_charge", distributor.reverse_charge), given.get("tax_id", distributor.tax_id)
    )
    return Change(**{name: value for name, value in given.items() if getattr(distributor, name) != value})


def described(distributor: "Distributor", changed: Change) -> str:
    """How the audit trail tells of a change."""
    said = ", ".join(f"{name.replace('_', ' ')} to {_said(value)}" for name, value in changed.items())
    return f"Changed distributor {distributor.name}: {said}"


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str("nothing" if value is None else value)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
