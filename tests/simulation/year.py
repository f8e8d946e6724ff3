"""A year, or any number of days, in the life of a vendor: one seed decides all that happens in it.

Distributors of all payment days and currencies, accounts of every kind of beginning and end, an engine that is late,
out of order and repeats itself, people who pay in parts, and schedules with faults in every night.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from random import Random
from statistics import median
from typing import Any

from portal.billing.records import list_bills
from portal.scope import EVERYTHING
from portal.tree import DIRECT, Node
from tests.simulation.comparison import Comparison, compare
from tests.simulation.diary import Account, Correction, Event, Prices, ServicePrice, State
from tests.simulation.oracle import next_payment_date, term_on
from tests.simulation.play import Misfortune, Play

EXCHANGE, ONEDRIVE, BOX = "microsoft_365_exchange", "microsoft_365_onedrive", "box"
_KINDS = {EXCHANGE: "mailbox", ONEDRIVE: "drive", BOX: "user"}
_BAD_NIGHTS = Misfortune(fault=0.05, repeated=0.05, held=0.02, missed=0.03, hurried=0.05)
_LIVES = (
    ("subscription_without_trial", "monthly", 6),
    ("subscription_without_trial", "annual", 3),
    ("trial_with_auto_subscription", "monthly", 3),
    ("trial_with_auto_subscription", "annual", 2),
    ("trial_with_expiration", "", 4),
)  # fmt: skip
"""How accounts begin, and how often."""
FORECAST_DAYS = (14, 7, 3, 1)
"""How long before a payment day the forecast is asked for."""


@dataclass(frozen=True)
class Sizes:
    distributors: int = 6
    accounts: int = 4
    """Of each distributor in the beginning."""
    entities: int = 12
    """Of a task in the beginning, at the most."""
    most_accounts: int = 7
    """Of each distributor that live at a time."""


@dataclass
class Forecast:
    """What was forecast for a distributor's payment day, and what came of it: minor units, with tax.

    Or, before tax, for one of its accounts that is billed monthly.
    """

    distributor_id: str
    account_id: str
    asked_on: date
    billed_on: date
    total: int
    low: int
    high: int
    actual: int = 0

    @property
    def error(self) -> float:
        """A part of the actual bill."""
        return abs(self.total - self.actual) / self.actual


@dataclass
class Report:
    days: int
    accounts: int
    events: int
    struck: Counter[str]
    comparison: Comparison
    forecasts: list[Forecast]

    def lines(self) -> list[str]:
        """The figures, one a line."""
        faults = ", ".join(f"{kind.lower()} {count}" for kind, count in sorted(self.struck.items()) if count)
        said = [
            f"days {self.days}, accounts {self.accounts}, events {self.events}",
            f"faults {self.struck.total()}: {faults}",
            f"bills compared {self.comparison.bills}, lines {self.comparison.lines}, "
            f"differences {len(self.comparison.differences)}",
        ]
        for of in ("distributors", "accounts"):
            for days in FORECAST_DAYS:
                if asked := self.asked(of, days):
                    errors = sorted(each.error for each in asked)
                    within = sum(each.low <= each.actual <= each.high for each in asked)
                    said.append(
                        f"forecasts of {of} {days:>2} days ahead: {len(asked)}, error median {median(errors):.1%}, "
                        f"p90 {errors[int(0.9 * (len(errors) - 1))]:.1%}, within its range {within / len(asked):.0%}"
                    )
        return said

    def asked(self, of: str, days: int) -> list[Forecast]:
        """The forecasts of whole `distributors` or of single `accounts` so many days ahead."""
        return [
            each
            for each in self.forecasts
            if (each.billed_on - each.asked_on).days == days and bool(each.account_id) == (of == "accounts")
        ]


@dataclass
class _Life:
    """An account and where it is heading."""

    account: Account
    chance: Random
    drift: float
    """By how many entities a task grows or shrinks a day, on average."""
    subscribing_on: date | None = None
    removing_on: date | None = None
    known: dict[str, dict[str, State]] = field(default_factory=dict)
    """By task, its entities as they are."""

    def is_over(self, now: datetime) -> bool:
        """Removed, or an expired trial: there are no backups any more."""
        return self.account.removed_at is not None or _is_expired(self.account, now)


def _is_expired(account: Account, now: datetime) -> bool:
    ends_at = account.trial_ends_at
    return not account.plan and account.subscribed is None and ends_at is not None and ends_at <= now


class Year:
    def __init__(
        self, play: Play, start: date, days: int, sizes: Sizes, forecast_days: Sequence[int] = FORECAST_DAYS
    ) -> None:
        self.play, self.start, self.days, self.sizes = play, start, days, sizes
        self.forecast_days = forecast_days
        self.chance = play.chance
        self.lives: dict[str, list[_Life]] = {}
        self.partners: dict[str, str] = {}
        self.late: list[tuple[date, Event]] = []
        self.plans: list[tuple[date, str, str, int]] = []
        """Of money: on which day, which reference, what, and how much."""
        self.seen: set[str] = set()
        self.forecasts: list[Forecast] = []

    def live(self) -> Report:
        for number in range(self.days):
            day = self.start + timedelta(days=number)
            self.play.go_to(day, time(0, 1))
            if number:
                self.play.night(missed=self.chance.random() < 0.01)
            self.play.go_to(day, time(8))
            self._ask_for_forecasts(day)
            if number < 3 * self.sizes.distributors and number % 3 == 0:
                self._add_distributor(number // 3)
            for distributor_id in self.lives:
                self._live(distributor_id, day)
            self.play.go_to(day, time(17))
            self._report(day)
            self._move_money(day)
            if self.chance.random() < 0.3:
                self.play.release_parked()
            if self.chance.random() < 0.5:
                self.play.confirm_purges()
        self._end()
        diary = self.play.diary
        return Report(
            self.days,
            len(diary.accounts),
            len(diary.events),
            self.play.struck.copy(),
            compare(self.play),
            self._compared_forecasts(),
        )

    def _end(self) -> None:
        """Good nights in which everything that waited comes to its end."""
        self.play.luck = Misfortune()
        for number in range(2):
            self.play.go_to(self.start + timedelta(days=self.days + number), time(0, 1))
            self.play.night()
            self.play.release_parked()
        last = self.play.now.date() + timedelta(days=1)
        for of, distributor in self.play.diary.distributors.items():
            on = distributor.created_on
            while (on := next_payment_date(distributor.payment_day, on)) < last:
                if (of, on) not in self.play.diary.billing_begun:
                    self.play.differences.append(f"{of} {on}: nobody set out to bill it")
        for account_id in self.play.diary.accounts:
            for start in self.play.oracle.terms_begun(account_id, last, self.play.now):
                if (account_id, start) not in self.play.diary.invoicing_begun:
                    self.play.differences.append(f"{account_id} {start}: nobody set out to invoice it")

    # People

    def _add_distributor(self, number: int) -> None:
        kinds = (
            (1, "USD", Fraction(17, 100), False, "invoice"),
            (31, "EUR", Fraction(19, 100), False, "invoice"),
            (15, "JPY", Fraction(10, 100), False, "credit_card"),
            (30, "KWD", Fraction(5, 1000), False, "invoice"),
            (29, "EUR", Fraction(21, 100), True, "invoice"),
            (self.chance.randint(2, 28), "USD", Fraction(), False, "credit_card"),
        )
        payment_day, currency, tax, reverse_charge, method = kinds[number % len(kinds)]
        # The first prices hold from the first day of the period that today lies in.
        prices = self._prices(currency, date.min, with_weights=number % 2 == 1)
        of = self.play.add_distributor(
            f"North {number}",
            prices,
            payment_day=payment_day,
            currency=currency,
            tax=tax,
            reverse_charge=reverse_charge,
            method=method,
        )
        self.partners[of] = self.play.add_partner(of, f"Partner {number}")
        self.lives[of] = [self._add_account(of) for _ in range(self.sizes.accounts)]

    def _prices(self, currency: str, effective_on: date, *, with_weights: bool) -> Prices:
        unit = {"USD": 1, "EUR": 1, "JPY": 1, "KWD": 10}[currency]
        services = {}
        for service in _KINDS:
            month = self.chance.randint(90, 400) * unit
            tiers = tuple(
                (minimum, month * (20 - cut) // 20, month * 10 * (20 - cut) // 20)
                for minimum, cut in zip(sorted(self.chance.sample(range(3, 40), k=3)), (1, 3, 5), strict=True)
            )
            weights = (("archived", Fraction(1, 2)), ("inactive", Fraction(1, 4))) if with_weights else ()
            method = self.chance.choice(("peak", "peak", "average", "last"))
            services[service] = ServicePrice(
                month,
                month * 10,
                tiers if self.chance.random() < 0.6 else (),
                method,
                weights if service == BOX else (),
            )
        discount = Fraction(self.chance.choice((0, 125, 300, 400)), 1000)
        return Prices(effective_on, self.play.now, discount, services)

    def _add_account(self, of: str) -> _Life:
        modes, plans, often = zip(*_LIVES, strict=True)
        (number,) = self.chance.choices(range(len(_LIVES)), often)
        partner = self.chance.choice((DIRECT, self.partners[of]))
        account = self.play.add_account(of, partner, modes[number], plans[number])
        life = _Life(account, Random(self.chance.random()), self.chance.choice((0.0, 0.0, 0.1, 0.3, -0.1)))
        services = list(_KINDS)
        for service in self.chance.sample(services, k=self.chance.choice((1, 1, 2))):
            self._add_task(life, service)
        today = self.play.now.date()
        if account.mode == "trial_with_expiration" and self.chance.random() < 0.7:
            life.subscribing_on = today + timedelta(days=self.chance.randint(0, 30))
        elif self.chance.random() < 0.2:
            life.subscribing_on = today + timedelta(days=self.chance.randint(0, 20))
        if self.chance.random() < 0.35:
            life.removing_on = today + timedelta(
                days=self.chance.choice((0, 1, 5, 20, 45, 90, 200, 364, 365, 366))
            )
        return life

    def _add_task(self, life: _Life, service: str) -> None:
        life.known[self.play.add_task(life.account, service)] = {}

    def _live(self, of: str, day: date) -> None:
        """What people do on a day; nothing while one of the distributor's bills is being waited for."""
        if self.play.is_waiting(of):
            return
        lives, chance = self.lives[of], self.chance
        alive = [life for life in lives if not life.is_over(self.play.now)]
        if len(alive) < self.sizes.most_accounts and chance.random() < 0.03:
            lives.append(self._add_account(of))
        for life in lives:
            account = life.account
            if life.subscribing_on == day and account.removed_at is None:
                self.play.subscribe(account, chance.choice(("monthly", "monthly", "annual")))
            if life.removing_on and life.removing_on <= day and account.removed_at is None:
                if not self._is_gone(life):
                    self.play.remove(account)
            elif not life.is_over(self.play.now) and chance.random() < 0.003:
                self._change_plan(account, day)
            elif not life.is_over(self.play.now) and chance.random() < 0.003:
                task_id = chance.choice(list(life.known))
                self._add_task(life, account.tasks[task_id].service)
                if chance.random() < 0.7:
                    self.play.delete_task(account, task_id)
                    del life.known[task_id]
        if chance.random() < 0.01:
            distributor = self.play.diary.distributors[of]
            later = day + timedelta(days=chance.randint(1, 45))
            if all(each.effective_on < later for each in distributor.prices):
                weighted = any(price.weights for price in distributor.prices[-1].services.values())
                prices = self._prices(distributor.currency, later, with_weights=weighted)
                self.play.set_prices(of, prices)

    def _change_plan(self, account: Account, day: date) -> None:
        """To the annual plan one of these days, to the monthly one from the end of the term on, or not after all."""
        spans = [span for span in self.play.oracle.spans(account, self.play.now) if span[1] <= day]
        if not spans:
            return
        plan, first, _ = spans[-1]
        if any(on > day for _, _, on in account.changes):
            self.play.keep_plan(account, plan)
        elif plan == "monthly":
            self.play.change_plan(account, "annual", day + timedelta(days=self.chance.choice((0, 1, 9, 40))))
        else:
            self.play.change_plan(account, "monthly", term_on(first, day)[1])

    def _is_gone(self, life: _Life) -> bool:
        """An expired trial removes itself in the end."""
        ends_at = life.account.trial_ends_at
        return (
            life.is_over(self.play.now)
            and ends_at is not None
            and ends_at + timedelta(days=29) < self.play.now
        )

    # The engine

    def _report(self, day: date) -> None:
        told: list[Event] = []
        for of, lives in self.lives.items():
            waiting = self.play.is_waiting(of)
            for life in lives:
                if life.is_over(self.play.now):
                    continue
                for task_id, known in life.known.items():
                    if known and life.chance.random() > 0.2:
                        continue
                    event = self._event(life, task_id, known, day)
                    if known and life.chance.random() < 0.15 and not waiting:
                        wanted = day + timedelta(days=life.chance.choice((1, 2, 5, 12, 35)))
                        self.late.append((wanted, event))
                    else:
                        told.append(event)
        for wanted, event in list(self.late):
            account = self.play.diary.accounts[event.account_id]
            if wanted <= day and not self.play.is_waiting(account.distributor_id):
                self.late.remove((wanted, event))
                is_kept = account.removed_at is None and account.tasks[event.task_id].deleted_at is None
                if is_kept and not _is_expired(account, self.play.now):
                    told.append(self._told_now(event))
        results = self.play.tell(told)
        for event_id, became in results.items():
            if became != "accepted":
                self.play.differences.append(f"{event_id} was {became}")

    def _event(self, life: _Life, task_id: str, known: dict[str, State], day: date) -> Event:
        """Some entities change; now and then one comes or goes."""
        chance, kind = life.chance, _KINDS[life.account.tasks[task_id].service]
        states: list[State] = []
        new = 0 if known else chance.randint(1, self.sizes.entities)
        if known:
            new = int(chance.random() < abs(life.drift) * 4) if life.drift > 0 else int(chance.random() < 0.1)
        for _ in range(new):
            states.append(self._state(f"{kind}-{len(known) + len(states)}", kind, chance))
        if known:
            for entity_id in chance.sample(sorted(known), k=min(len(known), chance.randint(1, 2))):
                before = known[entity_id]
                if life.drift < 0 and chance.random() < 0.4:
                    states.append(State(entity_id, kind, "inactive", before.licensed))
                elif chance.random() < 0.15:
                    states.append(self._state(entity_id, kind, chance))
                else:
                    states.append(before)
        known |= {state.entity_id: state for state in states}
        midnight = max(datetime.combine(day, time(), UTC), life.account.created_at)
        at = midnight + (self.play.now - midnight) * chance.random()
        return self.play.event(life.account, task_id, at, *states)

    @staticmethod
    def _state(entity_id: str, kind: str, chance: Random) -> State:
        status = chance.choices(("active", "inactive", "archived"), (80, 10, 10))[0]
        return State(entity_id, kind, status, chance.random() < 0.9 if kind == "mailbox" else None)

    def _told_now(self, event: Event) -> Event:
        return Event(
            event.event_id, event.account_id, event.task_id, event.occurred_at, self.play.now, event.states
        )

    # Money

    def _move_money(self, day: date) -> None:
        for of in self.lives:
            currency = self.play.diary.distributors[of].currency
            for bill in list_bills(EVERYTHING, Node(of), limit=6):
                if bill.reference and bill.reference not in self.seen:
                    self.seen.add(bill.reference)
                    self._plan_money(bill, day)
            for plan in [each for each in self.plans if each[0] <= day]:
                _, reference, what, minor = plan
                bill = next(
                    (bill for bill in list_bills(EVERYTHING, Node(of)) if bill.reference == reference), None
                )
                if bill is None:
                    continue
                self.plans.remove(plan)
                minor = min(minor, bill.outstanding_minor)
                if minor and what == "pay":
                    self.play.pay(reference, minor, currency)
                elif minor:
                    self.play.credit(Correction(reference, gross=minor), currency)

    def _plan_money(self, bill: Any, day: date) -> None:
        total, chance = int(bill.total_minor), self.chance
        how = chance.choices(("all", "parts", "corrected", "never", "credited"), (50, 20, 15, 10, 5))[0]
        days = chance.randint(0, 50)
        part = total * chance.randint(1, 9) // 10
        if how == "all":
            moves = [(days, "pay", total)]
        elif how == "parts":
            moves = [(days, "pay", part), (days + 9, "pay", total)]
        elif how == "corrected":
            self._correct(bill)
            moves = [(days, "credit", part // 3), (days + 5, "pay", total)]
        else:
            moves = [(days, "credit", total)] if how == "credited" else []
        self.plans += [
            (day + timedelta(days=after), bill.reference, what, minor) for after, what, minor in moves
        ]

    def _correct(self, bill: Any) -> None:
        """A credit note for a line of a new bill: it should have been half as much."""
        key = (bill.bill_kind, bill.account_id or bill.node.distributor)
        on = bill.period_end_on if bill.bill_kind == "monthly" else bill.period_start_on
        expected = self.play.oracle.bills().get((*key, on))
        if expected is None:
            return
        line_key, line = self.chance.choice(sorted(expected.lines.items()))
        right = Fraction(int(line.quantity) // 2)
        if line.amount > line.amount * right / line.quantity:
            currency = self.play.diary.distributors[expected.distributor_id].currency
            self.play.credit(Correction(bill.reference, lines=((line_key, right),)), currency)

    # Forecasts

    def _ask_for_forecasts(self, day: date) -> None:
        for of in self.lives:
            distributor = self.play.diary.distributors[of]
            billed_on = next_payment_date(distributor.payment_day, day)
            if (billed_on - day).days in self.forecast_days:
                shown = self.play.ask("billing.get_forecast", of)
                if date.fromisoformat(shown["period_end"]) != billed_on:
                    self.play.differences.append(f"{of} {day}: a forecast for {shown['period_end']}")
                self.forecasts.append(
                    Forecast(
                        of, "", day, billed_on, *(shown[name]["minor"] for name in ("total", "low", "high"))
                    )
                )
                rows = self.play.ask("billing.list_billing_status", of, query={"limit": "100"})["items"]
                for row in rows:
                    expected = row["next_payment_forecast"]
                    if (
                        expected
                        and expected["method"] != "renewal"
                        and expected["billed_on"] == str(billed_on)
                    ):
                        low, high = expected["low"]["minor"], expected["high"]["minor"]
                        account_id = row["account_id"]
                        self.forecasts.append(
                            Forecast(of, account_id, day, billed_on, expected["minor"], low, high)
                        )

    def _compared_forecasts(self) -> list[Forecast]:
        """Those whose bill has come: with it, the invoices of terms that began by themselves until then."""
        bills = self.play.oracle.bills()
        compared = []
        for each in self.forecasts:
            month = bills.get(("monthly", each.distributor_id, each.billed_on))
            if each.account_id:
                own = (
                    [line for key, line in month.lines.items() if key[0] == each.account_id] if month else []
                )
                each.actual = sum(line.amount for line in own)
                compared += [each] if each.actual else []
                continue
            each.actual = month.gross if month else 0
            for (kind, account_id, start), bill in bills.items():
                renewed = kind == "annual" and each.asked_on < start < each.billed_on
                if renewed and bill.distributor_id == each.distributor_id:
                    subscribed_on = self.play.oracle.spans(
                        self.play.diary.accounts[account_id], self.play.now
                    )[0][1]
                    each.actual += bill.gross if start > subscribed_on else 0
            if each.actual:
                compared.append(each)
        return compared


def simulate(
    seed: int, start: date, days: int, sizes: Sizes, forecast_days: Sequence[int] = FORECAST_DAYS
) -> Report:
    """Live so many days from a day on, and compare every bill with the oracle's."""
    with Play.begun(datetime.combine(start, time(), UTC), seed, _BAD_NIGHTS) as play:
        return Year(play, start, days, sizes, forecast_days).live()
