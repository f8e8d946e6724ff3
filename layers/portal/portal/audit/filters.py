"""Which entries of an audit trail are wanted, as a query or a body says it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from portal.activities import Activity, Outcome

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_YEARS = range(2000, 9999)
_MILLISECOND = 1000


def _midnight(given: Any) -> Any:
    """A date stands for its beginning, UTC."""
    if not isinstance(given, str) or not _DATE.match(given):
        raise ValueError("This has to be a date, or an instant with its offset from UTC.")
    return f"{given}T00:00:00Z" if _DATE.fullmatch(given) else given


def _as_entries_are_dated(at: datetime) -> datetime:
    """UTC, whole milliseconds; what lies within one comes after the entries of its beginning."""
    if at.year not in _YEARS:
        raise ValueError(f"The year has to be between {_YEARS[0]} and {_YEARS[-1]}.")
    at = at.astimezone(UTC)
    within = at.microsecond % _MILLISECOND
    return at + timedelta(microseconds=_MILLISECOND - within) if within else at


def _listed(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


_MOMENT = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_midnight),
    AfterValidator(_as_entries_are_dated),
    WithJsonSchema(_MOMENT, mode="validation"),
]
EmailText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=254, pattern=r"\S")
]


class AuditFilters(BaseModel, extra="forbid"):
    """Several filters mean all of them; several activities mean any of them."""

    since: Moment | None = Field(
        None,
        alias="from",
        description="Entries from this instant on; a date such as 2023-01-24 means its beginning, UTC.",
    )
    until: Moment | None = Field(
        None, alias="to", description="Entries before this instant; a date means its beginning, UTC."
    )
    activity: (
        Annotated[list[Activity], Field(min_length=1, max_length=len(Activity)), BeforeValidator(_listed)]
        | None
    ) = Field(None, description="One activity or several.")
    status: Outcome | None = None
    account: EmailText | None = Field(
        None, description="E-mail of the partner or account that it was about, as it was then."
    )
    user: EmailText | None = Field(
        None, description="E-mail of the user who did it, as it was then; `system` for what jobs did."
    )

    @field_validator("until")
    @classmethod
    def _some_time_is_left(cls, until: datetime | None, others: ValidationInfo) -> datetime | None:
        since = others.data.get("since")
        if since and until and since >= until:
            raise ValueError("This has to be later than `from`.")
        return until
