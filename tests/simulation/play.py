"""The portal, played through its own handlers by people, by the engine and by its schedules, with all their bad days.

Whoever acts here acts on the portal and writes into the diary what it did: that is all the oracle ever gets to know.
"""

import gc
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from random import Random
from typing import Any
from unittest.mock import patch

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from local.stage import ENGINE, Answer, Context, sqs_record
from portal import clock as portal_clock
from portal import ids, job
from portal.accounts.records import where_listed
from portal.scope import Caller
from portal.settings import settings
from portal.tree import DIRECT, Node
from tests.simulation.diary import (
    Account,
    Correction,
    Diary,
    Distributor,
    Event,
    Payment,
    Prices,
    ServicePrice,
    State,
    Task,
)
from tests.simulation.oracle import Oracle, next_payment_date
from tests.support import Crash, Fault, Harness
from tests.support.swift import Swift
from tests.world import OPERATOR, World, administrator

DECIMALS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
_STRIKES = (
    Fault.CRASH_BEFORE,
    Fault.CRASH_AFTER,
    Fault.TIMEOUT_AFTER,
    Fault.TRANSACTION_CONFLICT,
    Fault.THROUGHPUT,
    Fault.THROTTLING,
    Fault.UNPROCESSED,
)
_NO_ANSWER = (Crash, BotoCoreError, ClientError, PynamoDBException, RuntimeError)
"""How an invocation ends that a fault has struck, unless it is answered."""
_MOST_ATTEMPTS = 25
_NO_TIME = 20_000
"""Milliseconds: a worker that begins with so little hands over at the first opportunity."""


@dataclass(frozen=True)
class Misfortune:
    """How often things go wrong, of one."""

    fault: float = 0.0
    """An invocation is struck by a fault of AWS, or dies."""
    repeated: float = 0.0
    """A message, or an event, is delivered twice."""
    held: float = 0.0
    """A message only arrives in the next night."""
    missed: float = 0.0
    """A job does not run in a night."""
    hurried: float = 0.0
    """A worker has hardly any time."""


@dataclass
class Play:
    world: World
    swift: Swift
    harness: Harness
    chance: Random
    luck: Misfortune = field(default_factory=Misfortune)
    diary: Diary = field(default_factory=Diary)
    struck: Counter[str] = field(default_factory=Counter)
    """Faults, by kind."""
    differences: list[str] = field(default_factory=list)
    """Answers that were not as they must be."""
    _nodes: dict[str, Node] = field(default_factory=dict)
    _held: list[tuple[str, str]] = field(default_factory=list)
    _numbers: int = 0
    _asked_again: bool = False
    """Whether the last answer was given to somebody who had to ask more than once."""

    def __post_init__(self) -> None:
        self.oracle = Oracle(self.diary)

    @classmethod
    @contextmanager
    def begun(
        cls, start: datetime, seed: int, luck: Misfortune | None = None, months_looked_back: int = 5
    ) -> Iterator["Play"]:
        """A portal with nothing in it, whose jobs are never silent for so many months: it spares most of their queries."""
        with ExitStack() as stack:
            harness = stack.enter_context(Harness(seed=seed, measuring=False))
            stack.enter_context(portal_clock.override(harness.clock))
            stack.enter_context(ids.override(harness.ids))
            harness.clock.set(start)
            world = stack.enter_context(World.made(harness.clock))
            world.acting = lambda function: nullcontext()
            harness.keep(world)
            swift = stack.enter_context(Swift.on(harness, hurried=True))
            stack.enter_context(_without_garbage_collection())
            stack.enter_context(patch.object(job, "_MONTHS_LOOKED_BACK", months_looked_back))
            yield cls(world, swift, harness, Random(seed), luck or Misfortune())

    def begin_anew(self, diary: Diary) -> None:
        """From what this diary knows: the harness was rewound."""
        self.diary, self.differences, self._held = deepcopy(diary), [], []
        self.oracle = Oracle(self.diary)

    @property
    def now(self) -> datetime:
        return self.world.now

    def go_to(self, day: date, at: time) -> None:
        self.world.now = datetime.combine(day, at, UTC)

    # People

    def add_distributor(self, name: str, first: Prices, **terms: Any) -> str:
        """`terms`: payment_day, currency, method, tax, reverse_charge."""
        currency = terms["currency"]
        answer = self._operate(
            "operators.create_distributor",
            OPERATOR,
            body={
                "name": f"{name} Distribution",
                "email": f"office@{name.lower().replace(' ', '-')}.example.com",
                "country": "Luxembourg",
                "payment_day": terms["payment_day"],
                "currency": currency,
                "billing_method": terms["method"],
                "tax_rate": _decimal(terms["tax"]),
                "tax_name": "VAT",
                "tax_id": "LU12345678",
                "reverse_charge": terms["reverse_charge"],
                "prices": {"currency": currency, **_sent(first, currency)},
            },
        )
        distributor_id: str = answer.json["distributor_id"]
        self.diary.distributors[distributor_id] = Distributor(
            distributor_id, self.now.date(), prices=[first], **terms
        )
        return distributor_id

    def add_partner(self, distributor_id: str, name: str) -> str:
        body = {"name": name, "email": self._address(), "country": "Israel"}
        answer = self._operate("partners.create_partner", administrator(Node(distributor_id)), body=body)
        partner_id: str = answer.json["id"]
        return partner_id

    def add_account(self, distributor_id: str, partner_id: str, mode: str, plan: str = "") -> Account:
        portal = self._portal(distributor_id, partner_id)
        body = {
            "name": f"Customer {self._number()}",
            "email": self._address(),
            "subscription": {"mode": mode, "plan": plan or None},
        }
        answer = self._operate("accounts.create_account", administrator(portal), body=body)
        account = Account(answer.json["account_id"], distributor_id, self.now, mode, plan)
        self.diary.accounts[account.account_id] = account
        self._nodes[account.account_id] = where_listed(portal).child(account.account_id)
        return account

    def add_task(self, account: Account, service: str) -> str:
        node = self._nodes[account.account_id]
        path, body = {"account_id": account.account_id}, {"service": service, "name": f"Back up {service}"}
        answer = self._operate("tasks.create_task", administrator(node), path=path, body=body)
        task_id: str = answer.json["task_id"]
        account.tasks[task_id] = Task(service)
        return task_id

    def delete_task(self, account: Account, task_id: str) -> None:
        path = {"account_id": account.account_id, "task_id": task_id}
        self._operate("tasks.delete_task", administrator(self._nodes[account.account_id]), path=path)
        account.tasks[task_id].deleted_at = self.now

    def subscribe(self, account: Account, plan: str) -> str:
        """What became of it."""
        known = self.oracle.spans(account, self.now)
        removed = account.removed_at is not None
        node = self._nodes[account.account_id]
        portal = node.distributor_node if node.is_direct else node.partner_node
        body = {"plan": plan, "accounts": [account.account_id]}
        answer = self._operate("subscriptions.subscribe_accounts", administrator(portal), body=body)
        result: str = answer.json["items"][0]["result"]
        right = (
            {"removal_pending", "not_found"} if removed else {"already_subscribed" if known else "subscribed"}
        )
        if self._asked_again and result == "already_subscribed" and not known:
            # It was done, and the answer was lost.
            result = "subscribed"
        self._expect(result in right, f"subscribing {account.account_id} answered {result}, not {right}")
        if result == "subscribed":
            account.subscribed = self.now, plan
        return result

    def remove(self, account: Account) -> None:
        node = self._nodes[account.account_id]
        portal = node.distributor_node if node.is_direct else node.partner_node
        path, body = {"account_id": account.account_id}, {"approve_data_removal": True}
        self._operate("accounts.remove_account", administrator(portal), path=path, body=body, again=(409,))
        account.removed_at = self.now

    def change_plan(self, account: Account, plan: str, on: date) -> None:
        """To the other plan from a day on; what was agreed for a later day is so no longer."""
        path, body = {"account_id": account.account_id}, {"plan": plan, "effective_on": on.isoformat()}
        self._operate("operators.change_plan", OPERATOR, path=path, body=body)
        if account.trial_ends_at is not None and account.trial_ends_at <= self.now:
            # A trial that has ended is settled by it.
            self.diary.trials_looked_at[account.account_id] = self.now
        today = self.now.date()
        account.changes = [each for each in account.changes if each[2] <= today]
        account.changes.append((self.now, plan, on))

    def keep_plan(self, account: Account, plan: str) -> None:
        """Take back a change that is still to come, by asking for the present plan."""
        path = {"account_id": account.account_id}
        self._operate("operators.change_plan", OPERATOR, path=path, body={"plan": plan})
        account.changes = [each for each in account.changes if each[2] <= self.now.date()]

    def set_method(self, distributor_id: str, method: str) -> None:
        path = {"distributor_id": distributor_id}
        self._operate("operators.set_billing_method", OPERATOR, path=path, body={"method": method})
        self.diary.distributors[distributor_id].methods.append((self.now, method))

    def set_prices(self, distributor_id: str, prices: Prices) -> None:
        distributor = self.diary.distributors[distributor_id]
        body = {
            "effective_on": prices.effective_on.isoformat(),
            "currency": distributor.currency,
            **_sent(prices, distributor.currency),
        }
        self._operate("operators.set_prices", OPERATOR, path={"distributor_id": distributor_id}, body=body)
        distributor.prices.append(prices)

    def pay(self, reference: str, minor: int, currency: str) -> None:
        """By bank transfer, today."""
        body = {
            "amount": amount(minor, currency),
            "currency": currency,
            "received_on": self.now.date().isoformat(),
        }
        self._operate("operators.record_payment", OPERATOR, path={"reference": reference}, body=body)
        self.diary.money.append(Payment(reference, minor))

    def credit(self, note: Correction, currency: str) -> None:
        """`gross` alone is credited as an amount; nothing at all, as all that is owed."""
        body: dict[str, Any] = {"reason": "Agreed on the telephone"}
        if note.lines:
            body["lines"] = [
                {"account_id": account, "service": service, "kind": kind, "quantity": _decimal(right)}
                for (account, service, kind), right in note.lines
            ]
        else:
            body |= {"amount": amount(note.gross, currency), "currency": currency}
        self._operate("operators.create_credit_note", OPERATOR, path={"reference": note.reference}, body=body)
        self.diary.money.append(note)

    def release_parked(self) -> int:
        """Let go whatever waits for an operator; returns how many that were."""
        waiting = self._operate("operators.list_parked", OPERATOR, query={"limit": "100"}).json["items"]
        waiting = [each for each in waiting if each["state"] == "waiting"]
        for parked in waiting:
            self._operate(
                "operators.release_parked", OPERATOR, path={"parked_id": parked["parked_id"]}, again=(409,)
            )
            end = date.fromisoformat(parked["period_end"])
            if parked["kind"] == "monthly":
                self.diary.released[parked["distributor_id"], end] = self.now
        if waiting:
            self.deliver_outbox()
            self.work("billing.on_billing_due", "Billing")
        return len(waiting)

    def ask(self, operation: str, distributor_id: str, **asked: Any) -> Any:
        """What a distributor's administrator is answered."""
        return self._operate(operation, administrator(Node(distributor_id)), **asked).json

    def _operate(self, operation: str, as_: Caller, *, again: tuple[int, ...] = (), **asked: Any) -> Answer:
        """Whoever gets no answer, or an error of ours, asks again; then the status `again` may mean: done already."""
        headers = {"Idempotency-Key": f"key-{self._number()}"}
        for attempt in range(_MOST_ATTEMPTS):
            self._asked_again = attempt > 0
            try:
                with self._misfortune():
                    answer = self.world.call(operation, as_, headers=headers, **asked)
            except _NO_ANSWER:
                continue
            if answer.status < 400 or (attempt and answer.status in again):
                return answer
            if answer.status < 500 and answer.status != 429:
                raise AssertionError(f"{operation} {asked}: {answer.text}")
        raise AssertionError(f"{operation} was never answered")

    # The engine

    def tell(self, events: list[Event]) -> dict[str, str]:
        """Report what happened, each event once, and again where the engine is forgetful; by event, what became of it."""
        sent = [event for event in events for _ in range(1 + (self.chance.random() < self.luck.repeated))]
        self.chance.shuffle(sent)
        results: dict[str, str] = {}
        for first in range(0, len(sent), 100):
            body = {"events": [_reported(event) for event in sent[first : first + 100]]}
            for result in self._operate("engine.report_events", ENGINE, body=body).json["results"]:
                became = result.get("code", result["result"])
                results[result["event_id"]] = (
                    "accepted" if became == "duplicate" else results.get(result["event_id"], became)
                )
        self.diary.events += [event for event in events if results[event.event_id] == "accepted"]
        return results

    def event(self, account: Account, task_id: str, occurred_at: datetime, *states: State) -> Event:
        at = occurred_at.replace(microsecond=0)
        return Event(f"evt-{self._number()}", account.account_id, task_id, at, self.now, states)

    def confirm_purges(self) -> int:
        """The engine reports every purge that it was told of."""
        asked = [json.loads(body) for body in self.swift.take(_name("EngineCommands"))]
        purged = {each["account_id"] for each in asked if each["command"] == "account.purge"}
        told = [
            {
                "event_id": f"evt-{self._number()}",
                "type": "purge.completed",
                "occurred_at": self.now.isoformat(),
                "account_id": account_id,
            }
            for account_id in sorted(purged)
        ]
        for first in range(0, len(told), 100):
            self._operate("engine.report_events", ENGINE, body={"events": told[first : first + 100]})
        return len(told)

    # Schedules

    def night(self, *, missed: bool = False, without: str = "") -> None:
        """The jobs of one night, in their order, but for one that is silent; what the last night held back comes first."""
        held, self._held = self._held, []
        for name, at, worker, queue in (
            ("subscriptions.run_trials", time(0, 5), "subscriptions.on_trial_due", "Trials"),
            ("billing.run_usage_snapshot", time(0, 20), "billing.on_usage_due", "Usage"),
            ("billing.run_monthly_billing", time(2, 0), "billing.on_billing_due", "Billing"),
            ("billing.run_annual_billing", time(2, 10), "billing.on_billing_due", "Billing"),
            ("billing.run_overdue", time(3, 0), "billing.on_bill_due", "Overdue"),
            ("accounts.run_purge", time(4, 0), "accounts.on_purge", "Purge"),
        ):
            if self.now.time() < at:
                self.go_to(self.now.date(), at)
            for held_by, body in held:
                if held_by == worker:
                    self._deliver(worker, body)
            held = [each for each in held if each[0] != worker]
            if missed or name == without or self.chance.random() < self.luck.missed:
                continue
            self.run(name)
            self.work(worker, queue)
        self.deliver_outbox()
        self.swift.forget_expired(self.now.timestamp())

    def run(self, name: str) -> None:
        for _ in range(_MOST_ATTEMPTS):
            try:
                with self._misfortune():
                    self.world.run(name)
                return
            except _NO_ANSWER:
                continue
        raise AssertionError(f"{name} never ran")

    def work(self, worker: str, queue: str) -> None:
        """Let a worker empty its queue, in any order, with repeats, and now and then not all of it."""
        while bodies := self.swift.take(_name(queue)):
            bodies += [body for body in bodies if self.chance.random() < self.luck.repeated]
            self.chance.shuffle(bodies)
            for body in bodies:
                if self.chance.random() < self.luck.held:
                    self._held.append((worker, body))
                else:
                    self._deliver(worker, body)

    def deliver_outbox(self) -> None:
        """What hangs on the table's stream, and the messages that it sends."""
        records = self.swift.streamed("outbox")
        for first in range(0, len(records), 100):
            self._until_done("notifications.deliver_outbox", {"Records": records[first : first + 100]})
        for queue in ("Documents", "Mail", "Reports"):
            self.swift.take(_name(queue))
        self.work("billing.on_billing_due", "Billing")

    def is_waiting(self, distributor_id: str) -> bool:
        """Whether something about a distributor's bills was held back, or waits for an operator."""
        held = any(distributor_id in body for _, body in self._held)
        return held or any(
            bill.parked and (of, on) not in self.diary.released
            for (kind, of, on), bill in self.oracle.bills().items()
            if kind == "monthly" and of == distributor_id
        )

    def _deliver(self, worker: str, body: str) -> None:
        if worker == "billing.on_billing_due":
            self._begin(json.loads(body))
        if worker == "subscriptions.on_trial_due":
            self.diary.trials_looked_at[json.loads(body)["account"].rpartition("/")[2]] = self.now
        self._until_done(worker, {"Records": [sqs_record(body)]})

    def _until_done(self, function: str, event: dict[str, Any]) -> None:
        """As its queue does: whatever fails is tried again."""
        for _ in range(_MOST_ATTEMPTS):
            hurried = self.chance.random() < self.luck.hurried
            self.world.context = Context(_NO_TIME) if hurried else Context()
            try:
                with self._misfortune():
                    answer = self.world.invoke(function, event)
            except _NO_ANSWER:
                continue
            finally:
                self.world.context = Context()
            if answer == {"batchItemFailures": []}:
                return
        raise AssertionError(f"{function} never came to an end with {event}")

    def _begin(self, message: dict[str, Any]) -> None:
        """Note what a message has billed from here on."""
        until = min(datetime.fromisoformat(message["as_of"]) if message.get("as_of") else self.now, self.now)
        if message["kind"] == "annual":
            self._begin_terms(message["account"].rpartition("/")[2], until.date() + timedelta(days=1))
            return
        distributor = self.diary.distributors[message["distributor_id"]]
        of, end = distributor.distributor_id, distributor.created_on
        while (end := next_payment_date(distributor.payment_day, end)) <= until.date():
            if (of, end) not in self.diary.billing_begun:
                for account in self.diary.accounts_of(of):
                    self._begin_terms(account.account_id, end)
                self.diary.billing_begun[of, end] = self.now
                self.oracle.bills()
            if self.oracle.is_parked(of, end) and (of, end) not in self.diary.released:
                return

    def _begin_terms(self, account_id: str, before: date) -> None:
        """An account that its trial subscribes is invoiced once somebody has looked at the end of that."""
        account = self.diary.accounts[account_id]
        ends_at = account.trial_ends_at
        if ends_at is not None and account.subscribed is None:
            looked_at = self.diary.trials_looked_at.get(account_id)
            if account.removed_at is None and (looked_at is None or looked_at < ends_at):
                return
        for start in self.oracle.terms_begun(account_id, before, self.now):
            self.diary.invoicing_begun.setdefault((account_id, start), self.now)

    @contextmanager
    def _misfortune(self) -> Iterator[None]:
        """Perhaps a fault strikes one of the block's calls."""
        if self.chance.random() >= self.luck.fault:
            yield
            return
        kind = self.chance.choice(_STRIKES)
        plan = self.harness.fail(at=1 + int(self.chance.expovariate(1 / 6)), kind=kind, match=kind.fits)
        try:
            yield
        finally:
            self.struck[kind.name] += plan.struck
            self.harness.clear_faults()

    # Means

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.differences.append(otherwise)

    def _portal(self, distributor_id: str, partner_id: str) -> Node:
        node = Node(distributor_id)
        return node if partner_id == DIRECT else node.child(partner_id)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _address(self) -> str:
        return f"person.{self._number()}@customers.example.com"


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A fifth of the time goes into going through everything that moto keeps, for next to nothing."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def amount(minor: int, currency: str) -> str:
    """Minor units as decimal text."""
    decimals = DECIMALS[currency]
    digits = str(minor).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


def _decimal(share: Fraction) -> str:
    """A fraction with no more than six decimals, as text."""
    millionths = share * 1_000_000
    if millionths.denominator != 1:
        raise ValueError(f"{share} has too many decimals.")
    digits = str(millionths.numerator).rjust(7, "0")
    return f"{digits[:-6]}.{digits[-6:]}".rstrip("0").rstrip(".")


def _sent(prices: Prices, currency: str) -> dict[str, Any]:
    return {
        "discount": _decimal(prices.discount),
        "services": {name: _sent_service(price, currency) for name, price in prices.services.items()},
    }


def _sent_service(price: ServicePrice, currency: str) -> dict[str, Any]:
    return {
        "monthly": amount(price.monthly, currency),
        "annual": amount(price.annual, currency),
        "tiers": [
            {"minimum": minimum, "monthly": amount(monthly, currency), "annual": amount(annual, currency)}
            for minimum, monthly, annual in price.tiers
        ],
        "quantity": price.method,
        "weights": {status: _decimal(weight) for status, weight in price.weights},
    }


def _reported(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "type": "entities.changed",
        "occurred_at": event.occurred_at.isoformat(),
        "account_id": event.account_id,
        "task_id": event.task_id,
        "entities": [
            {
                "entity_id": state.entity_id,
                "name": state.entity_id,
                "kind": state.kind,
                "status": state.status,
                "licensed": state.licensed,
                "bytes": 1000,
            }
            for state in event.states
        ],
    }


def _name(queue: str) -> str:
    """The last part of a queue's address."""
    return settings.queue_url(queue).rpartition("/")[2]
