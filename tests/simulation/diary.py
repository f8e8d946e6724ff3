"""What has happened to a vendor's distributors: the plain facts from which anybody could work out their bills.

Nothing here is the portal's: who plays the portal writes down what was agreed, done and reported, and when; amounts
are minor units, shares are exact fractions, instants are UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction

TRIAL = timedelta(days=14)


@dataclass(frozen=True)
class ServicePrice:
    """Unit prices before discount."""

    monthly: int
    annual: int
    tiers: tuple[tuple[int, int, int], ...] = ()
    """From which quantity on, and what every unit then costs a month and a year."""
    method: str = "peak"
    weights: tuple[tuple[str, Fraction], ...] = ()
    """By entity status, where they are not the usual ones."""


@dataclass(frozen=True)
class Prices:
    effective_on: date
    set_at: datetime
    discount: Fraction
    services: dict[str, ServicePrice]


@dataclass
class Distributor:
    distributor_id: str
    created_on: date
    payment_day: int
    currency: str
    tax: Fraction
    reverse_charge: bool
    method: str
    prices: list[Prices] = field(default_factory=list)
    methods: list[tuple[datetime, str]] = field(default_factory=list)
    """How it pays since: from when on, and how."""

    def method_at(self, at: datetime) -> str:
        return next((method for since, method in reversed(self.methods) if since <= at), self.method)


@dataclass
class Task:
    service: str
    deleted_at: datetime | None = None


@dataclass
class Account:
    account_id: str
    distributor_id: str
    created_at: datetime
    mode: str
    plan: str
    """What the mode subscribes to; empty for a trial that expires."""
    subscribed: tuple[datetime, str] | None = None
    """When somebody subscribed it, and to which plan."""
    changes: list[tuple[datetime, str, date]] = field(default_factory=list)
    """To the other plan: decided when, which, from which day on."""
    removed_at: datetime | None = None
    tasks: dict[str, Task] = field(default_factory=dict)

    @property
    def trial_ends_at(self) -> datetime | None:
        return None if self.mode == "subscription_without_trial" else self.created_at + TRIAL


@dataclass(frozen=True)
class State:
    """An entity of a task, from an instant on, as an event told it."""

    entity_id: str
    kind: str
    status: str
    licensed: bool | None


@dataclass(frozen=True)
class Event:
    event_id: str
    account_id: str
    task_id: str
    occurred_at: datetime
    told_at: datetime
    states: tuple[State, ...]


@dataclass(frozen=True)
class Payment:
    reference: str
    minor: int
    excess: int = 0
    """What of it the bill did not ask for."""


@dataclass(frozen=True)
class Correction:
    """A credit note: of lines, with the quantities that should have been billed, or over an amount with tax."""

    reference: str
    lines: tuple[tuple[tuple[str, str, str], Fraction], ...] = ()
    """Account, service and kind of the line, and the right quantity."""
    gross: int = 0


@dataclass
class Diary:
    distributors: dict[str, Distributor] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    money: list[Payment | Correction] = field(default_factory=list)
    """In the order in which it was recorded."""
    billing_begun: dict[tuple[str, date], datetime] = field(default_factory=dict)
    """By distributor and payment date: when somebody first set out to bill that period."""
    invoicing_begun: dict[tuple[str, date], datetime] = field(default_factory=dict)
    """By account and first day of a term."""
    trials_looked_at: dict[str, datetime] = field(default_factory=dict)
    """By account: when its trial was last looked after."""
    released: dict[tuple[str, date], datetime] = field(default_factory=dict)
    """By distributor and payment date: when an operator let a parked bill go."""

    def accounts_of(self, distributor_id: str) -> Iterator[Account]:
        return (each for each in self.accounts.values() if each.distributor_id == distributor_id)
