"""The demo: two years of two distributors, played through the ordinary operations and jobs.

Nothing is written past them. The scenario is told in dates of a calendar whose last day is 2023-02-10; it is moved as a
whole so that it ends on whatever day it is given.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from local.people import DISTRIBUTOR_EMAIL, GOOGLE_EMAIL, OPERATOR_EMAIL, PASSWORD
from local.stage import Stage
from portal.periods import payment_dates
from portal.scope import Caller

LAST_DAY = date(2023, 2, 10)
"""The day on which the scenario ends in its own calendar."""

_GB = 1024**3
_ENTITIES_IN_AN_EVENT = 45
_EVENTS_IN_A_CALL = 20

EXCHANGE, DROPBOX = "microsoft_365_exchange", "dropbox"
_KINDS = {EXCHANGE: "mailbox", DROPBOX: "drive"}


@dataclass(frozen=True)
class Customer:
    """An account of the scenario; dates are in its own calendar."""

    name: str
    created_on: date
    plan: str
    subscribed_on: date | None = None
    """None: subscribed without a trial on the day it was created."""
    partner: str = ""
    """Partner ID; empty for a direct account."""
    entities: tuple[tuple[date, str, int], ...] = ()
    """From that day on, so many entities of that service are active."""
    size: float = 0
    """What is backed up in the end, in GB."""
    last_run: str = "success"
    email: str = ""


CUSTOMERS = (
    Customer(
        "Agata Brown", date(2021, 8, 5), "annual", date(2021, 8, 17),
        entities=(
            (date(2021, 8, 10), EXCHANGE, 110),
            (date(2022, 8, 15), EXCHANGE, 130),
            (date(2022, 8, 15), DROPBOX, 20),
            (date(2022, 9, 20), EXCHANGE, 60),
        ),
        size=1031.5,
    ),
    Customer(
        "Alex Douglas", date(2022, 6, 24), "monthly", partner="DDEVR002",
        entities=((date(2022, 6, 25), EXCHANGE, 30), (date(2022, 10, 10), EXCHANGE, 98)),
        size=100.36,
    ),
    Customer("Bob Smith", date(2022, 11, 23), "monthly"),
    Customer("Charles Wilson", date(2022, 11, 23), "monthly"),
    Customer(
        "Moby Dick", date(2021, 1, 23), "monthly", partner="DDEVR002",
        entities=((date(2021, 1, 24), EXCHANGE, 4),), size=11.65, last_run="failed",
    ),
    Customer(
        "Rumple Stiltkin", date(2021, 7, 1), "annual", date(2021, 7, 14),
        entities=(
            (date(2021, 7, 5), EXCHANGE, 55),
            (date(2022, 7, 10), EXCHANGE, 70),
            (date(2022, 7, 10), DROPBOX, 1),
            (date(2022, 9, 20), EXCHANGE, 28),
        ),
        size=760.98,
    ),
    Customer(
        "Madame Bovary", date(2021, 1, 23), "monthly",
        entities=((date(2021, 1, 24), EXCHANGE, 1),), size=20.0, last_run="failed",
    ),
    Customer("Charlie Brown", date(2022, 2, 12), "annual"),
)  # fmt: skip

_TWO_MAILBOXES = (date(2022, 9, 2), EXCHANGE, 2)

RESELLER_CUSTOMERS = (
    Customer(
        "Bob Smith", date(2022, 9, 1), "annual", entities=((date(2022, 9, 2), EXCHANGE, 40),), size=73.31
    ),
    Customer(
        "Alex Douglas", date(2022, 9, 1), "monthly", entities=((date(2022, 9, 2), EXCHANGE, 12),), size=15.57
    ),
    Customer("Charles Wilson", date(2022, 9, 1), "monthly"),
    *(
        Customer(f"Practice {number:02d}", date(2022, 9, 1), "monthly", entities=(_TWO_MAILBOXES,), size=1.5)
        for number in range(1, 5)
    ),
    *(Customer(f"Practice {number:02d}", date(2022, 9, 1), "monthly") for number in range(5, 53)),
)
"""Of a partner under a second distributor: 55 accounts, 6 of them backed up."""

FIRST_PRICES = {
    "currency": "USD",
    "services": {
        EXCHANGE: {"monthly": "2.00", "annual": "24.00"},
        DROPBOX: {"monthly": "1.50", "annual": "18.00"},
    },
}
PRICES = {
    "currency": "USD",
    "discount": "0.4",
    "services": {
        EXCHANGE: {"monthly": "3.00", "annual": "30.00"},
        DROPBOX: {"monthly": "2.05", "annual": "20.50"},
    },
}
NEW_PRICES_ON = date(2022, 1, 24)
FIRST_DAY = date(2021, 1, 10)
PAYMENT_DAY_FROM = date(2021, 1, 24)
"""A payment day of the scenario's calendar; its day of the month, once moved, is the distributors'."""
PAID_FROM = date(2022, 2, 1)
"""Bills issued before stay unpaid; later consolidated ones are paid by bank transfer."""


@dataclass
class _Task:
    task_id: str
    service: str
    active: int = 0


@dataclass
class _Portal:
    """A portal of the demo and how to sign in to it."""

    email: str
    portal_id: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    tasks: dict[tuple[str, str], _Task] = field(default_factory=dict)


@dataclass
class Demo:
    """Plays the scenario on a stage so that it ends at 18:00 UTC on `today`."""

    stage: Stage
    today: date
    progress: Callable[[str], None] = lambda _: None
    _events: int = 0
    _callers: dict[str, tuple[datetime, Caller]] = field(default_factory=dict)

    def play(self) -> None:
        meridian, harbor = _Portal(DISTRIBUTOR_EMAIL), _Portal("admin@harbor.example.com")
        jacob, reseller = _Portal("jacob.anderson@example.com"), _Portal("admin@coastal.example.com")
        self._go_to(FIRST_DAY, 8)
        self._add_operator()
        self._add_distributor(meridian, "Meridian Distribution", FIRST_PRICES, "invoice")
        self._add_partner(meridian, _Portal("alex.douglas@example.com"), "Alex Douglas")
        self._add_partner(meridian, jacob, "Jacob Anderson", "DDEVR002")
        self._add_distributor(harbor, "Harbor Distribution", PRICES, "invoice")
        self._add_partner(harbor, reseller, "Coastal IT")
        casts = [(customer, jacob if customer.partner else meridian) for customer in CUSTOMERS]
        casts += [(customer, reseller) for customer in RESELLER_CUSTOMERS]
        for day in self._days(casts):
            self.progress(f"{self._moved(day):%B %Y}")
            self._go_to(day, 3)
            self._do_jobs()
            self._pay_bills(harbor, day)
            if day >= PAID_FROM:
                self._pay_bills(meridian, day)
            self._go_to(day, 9)
            if day == NEW_PRICES_ON - timedelta(days=7):
                self._set_prices(meridian)
            for customer, portal in casts:
                self._live(customer, portal, day)
            self._carry_out()
        self._go_to(LAST_DAY, 12)
        self._back_up(casts)
        self._add_user(meridian, GOOGLE_EMAIL, "Gina Moreau")
        self._carry_out()
        self._go_to(LAST_DAY, 18)

    # Days

    def _days(self, casts: list[tuple[Customer, _Portal]]) -> list[date]:
        """The days of the scenario on which something happens, in order, payment days included."""
        days = {NEW_PRICES_ON - timedelta(days=7), LAST_DAY}
        for payment_date in payment_dates(self._moved(PAYMENT_DAY_FROM).day, self._moved(PAYMENT_DAY_FROM)):
            day = payment_date - (self.today - LAST_DAY)
            if day > LAST_DAY:
                break
            # Bills on the day itself, reminders and due dates four days later.
            days |= {day, day + timedelta(days=4)}
        for customer, _ in casts:
            days |= {customer.created_on, *(on for on, _, _ in customer.entities)}
            days |= {customer.subscribed_on} if customer.subscribed_on else set()
        return sorted(day for day in days if FIRST_DAY < day <= LAST_DAY)

    def _moved(self, day: date) -> date:
        return day + (self.today - LAST_DAY)

    def _go_to(self, day: date, hour: int) -> None:
        self.stage.now = datetime.combine(self._moved(day), time(hour), UTC)

    def _do_jobs(self) -> None:
        for job, worker, queue in (
            ("billing.run_usage_snapshot", "billing.on_usage_due", "Usage"),
            ("subscriptions.run_trials", "subscriptions.on_trial_due", "Trials"),
            ("billing.run_annual_billing", "billing.on_billing_due", "Billing"),
            ("billing.run_monthly_billing", "billing.on_billing_due", "Billing"),
            ("billing.run_overdue", "billing.on_bill_due", "Overdue"),
        ):
            self.stage.run(job)
            self.stage.work(worker, queue)
        self._carry_out()

    def _carry_out(self) -> None:
        """Let everything happen that hangs on the table's stream, and what that causes in turn."""
        for _ in range(2):
            self.stage.stream()
            self.stage.work("billing.on_document_wanted", "Documents")
            self.stage.work("notifications.on_mail_wanted", "Mail")

    # People

    def _add_operator(self) -> None:
        self.stage.invoke(
            "operators.create_first_operator", {"email": OPERATOR_EMAIL, "name": "Olivia Operator"}
        )
        self._confirm(OPERATOR_EMAIL)

    def _add_distributor(self, portal: _Portal, name: str, prices: dict[str, Any], method: str) -> None:
        answer = self._do(
            "operators.create_distributor", OPERATOR_EMAIL,
            body={
                "name": name, "email": portal.email, "country": "LU", "payment_day": self._moved(PAYMENT_DAY_FROM).day,
                "currency": "USD", "tax_rate": "0.17", "tax_name": "VAT", "tax_id": "LU12345678",
                "address": ["1 Harbour Street", "1234 Luxembourg"], "billing_method": method, "prices": prices,
            },
        )  # fmt: skip
        portal.portal_id = answer["distributor_id"]
        self._confirm(portal.email)

    def _add_user(self, portal: _Portal, email: str, name: str) -> None:
        """Somebody who signs in with Google, once; the local cloud's provider knows the address."""
        body = {"email": email, "name": name, "sign_in_type": "google", "role": "administrator"}
        self._do("identity.create_user", portal.email, body=body)

    def _add_partner(self, distributor: _Portal, portal: _Portal, name: str, code: str = "") -> None:
        body = {"name": name, "email": portal.email, "country": "LU"} | ({"partner_id": code} if code else {})
        portal.portal_id = self._do("partners.create_partner", distributor.email, body=body)["id"]
        self._confirm(portal.email)

    def _confirm(self, email: str) -> None:
        """Follow the link of the invitation and choose a password."""
        self._carry_out()
        links = [re.search(r"token=([\w-]+)", mail) for mail in self.stage.mail_to(email)]
        token = next(link[1] for link in reversed(links) if link)
        self._answered(self.stage.call("identity.confirm_email", body={"token": token, "password": PASSWORD}))

    def _as(self, email: str) -> Caller:
        signed_in_at, caller = self._callers.get(email, (None, None))
        if signed_in_at != self.stage.now or caller is None:
            tokens = self._answered(
                self.stage.call("identity.sign_in", body={"email": email, "password": PASSWORD})
            )
            caller = self.stage.identify(tokens["access_token"])
            self._callers[email] = self.stage.now, caller
        return caller

    def _do(self, operation: str, email: str, **request: Any) -> Any:
        return self._answered(self.stage.call(operation, self._as(email), **request))

    @staticmethod
    def _answered(answer: Any) -> Any:
        if answer.status >= 400:
            raise RuntimeError(f"The demo was refused: {answer.text}")
        return answer.json if answer.text else None

    # Money

    def _set_prices(self, portal: _Portal) -> None:
        self._do(
            "operators.set_prices", OPERATOR_EMAIL, path={"distributor_id": portal.portal_id},
            body={"effective_on": self._moved(NEW_PRICES_ON).isoformat(), **PRICES},
        )  # fmt: skip

    def _pay_bills(self, portal: _Portal, day: date) -> None:
        """Bank transfers arrive for what was billed lately, consolidated bills only."""
        since = self._moved(
            max(day - timedelta(days=20), PAID_FROM if portal.email == DISTRIBUTOR_EMAIL else FIRST_DAY)
        )
        bills = self._do(
            "billing.list_billing_history", portal.email,
            query={"kind": "monthly", "from": since.isoformat(), "limit": "100"},
        )["items"]  # fmt: skip
        for bill in bills:
            if bill["state"] in ("issued", "overdue"):
                self._do(
                    "operators.record_payment", OPERATOR_EMAIL, path={"reference": bill["reference"]},
                    body={
                        "amount": bill["amount"]["amount"], "currency": bill["amount"]["currency"],
                        "received_on": self.stage.now.date().isoformat(),
                    },
                )  # fmt: skip

    # Customers

    def _live(self, customer: Customer, portal: _Portal, day: date) -> None:
        """What happens to a customer on a day."""
        if day == customer.created_on:
            self._create(customer, portal)
        if day == customer.subscribed_on:
            self._do(
                "subscriptions.subscribe_accounts", portal.email,
                body={"plan": customer.plan, "accounts": [portal.accounts[customer.name]]},
            )  # fmt: skip
        for on, service, count in customer.entities:
            if on == day:
                self._have_entities(customer, portal, service, count)

    def _create(self, customer: Customer, portal: _Portal) -> None:
        email = (
            customer.email or f"{customer.name.lower().replace(' ', '.')}@{portal.email.partition('@')[2]}"
        )
        if portal.email.endswith("@example.com"):
            email = f"{customer.name.lower().replace(' ', '.')}@customers.example.com"
        default = (
            {"mode": "trial_with_expiration"}
            if customer.subscribed_on
            else {"mode": "subscription_without_trial", "plan": customer.plan}
        )
        answer = self._do(
            "accounts.create_account",
            portal.email,
            body={"name": customer.name, "email": email, "subscription": default},
        )
        portal.accounts[customer.name] = answer["account_id"]

    def _have_entities(self, customer: Customer, portal: _Portal, service: str, count: int) -> None:
        """The engine finds that so many entities of a service are active."""
        task = portal.tasks.get((customer.name, service)) or self._add_task(customer, portal, service)
        first, last = sorted((task.active, count))
        status = "active" if count > task.active else "inactive"
        self._report_entities(customer, portal, task, range(first, last), status, size=0)
        task.active = count

    def _add_task(self, customer: Customer, portal: _Portal, service: str) -> _Task:
        path = {"account_id": portal.accounts[customer.name]}
        name = service.replace("_", " ").capitalize()
        created = self._do(
            "tasks.create_task", portal.email, path=path, body={"service": service, "name": name}
        )
        self._do("tasks.activate_tasks", portal.email, path=path, body={"task_ids": [created["task_id"]]})
        return portal.tasks.setdefault((customer.name, service), _Task(created["task_id"], service))

    def _report_entities(
        self, customer: Customer, portal: _Portal, task: _Task, numbers: range, status: str, *, size: int
    ) -> None:
        """Entities of a task are in a state, and together take `size` bytes."""
        shares = [size // len(numbers) + (number < size % len(numbers)) for number in range(len(numbers))]
        entities = [
            {
                "entity_id": f"{_KINDS[task.service]}-{number:03d}",
                "name": f"{_KINDS[task.service].capitalize()} {number + 1}",
                "kind": _KINDS[task.service],
                "status": status,
                "bytes": share,
                **({"licensed": True} if task.service == EXCHANGE else {}),
            }
            for number, share in zip(numbers, shares, strict=True)
        ]
        self._report(
            [
                {
                    "type": "entities.changed",
                    "account_id": portal.accounts[customer.name],
                    "task_id": task.task_id,
                    "entities": entities[start : start + _ENTITIES_IN_AN_EVENT],
                }
                for start in range(0, len(entities), _ENTITIES_IN_AN_EVENT)
            ]
        )

    def _back_up(self, casts: list[tuple[Customer, _Portal]]) -> None:
        """The last backups before the scenario ends: sizes, and how the runs went."""
        for customer, portal in casts:
            tasks = [
                task for (name, _), task in portal.tasks.items() if name == customer.name and task.active
            ]
            if not tasks:
                continue
            self._report_entities(
                customer, portal, tasks[0], range(tasks[0].active), "active", size=round(customer.size * _GB)
            )
            self._report(
                [
                    {
                        "type": "backup.completed",
                        "account_id": portal.accounts[customer.name],
                        "task_id": task.task_id,
                        "run_id": f"run-{task.task_id}",
                        "started_at": self._ago(hours=2),
                        "finished_at": self._ago(hours=1),
                        "status": customer.last_run,
                        "bytes": 4096,
                        "errors": []
                        if customer.last_run == "success"
                        else ["The mailbox could not be opened."],
                    }
                    for task in tasks
                ]
            )

    def _report(self, events: list[dict[str, Any]]) -> None:
        """The engine reports that something has just happened."""
        for start in range(0, len(events), _EVENTS_IN_A_CALL):
            stamped = []
            for event in events[start : start + _EVENTS_IN_A_CALL]:
                self._events += 1
                stamped.append(
                    {"event_id": f"demo-{self._events:05d}", "occurred_at": self._ago(hours=0), **event}
                )
            results = self._answered(
                self.stage.call("engine.report_events", self.stage.engine(), body={"events": stamped})
            )
            refused = [result for result in results["results"] if result["result"] != "accepted"]
            if refused:
                raise RuntimeError(f"The engine's report was refused: {refused}")

    def _ago(self, *, hours: int) -> str:
        return (self.stage.now - timedelta(hours=hours)).isoformat()
