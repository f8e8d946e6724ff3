"""Play a month of a new distributor against the running local cloud, and check its bills to the cent:

    python -m local.month --partners 40 --accounts 2000 [--seed N]

Everything goes over HTTP, as anybody outside would do it: an operator adds the distributor, people follow the
links in their mails, partners and accounts are added, tasks created, accounts subscribed and removed, and the
engine reports, with repeats, late and out of order. The local cloud's clock moves through the month, the jobs
run. Then every line of the bill is worked out anew from the events that were sent. Exits 1 on any difference.
"""

import argparse
import csv
import io
import json
import random
import re
import sys
import time as stopwatch
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, TypeVar

from local import clock, cloud, jobs
from local.api import Api, Refused, fetch
from local.oracle import Account, Key, Line, Price, Task, Terms, period_after
from local.people import OPERATOR_EMAIL, PASSWORD

EXCHANGE, DROPBOX, BOX = "microsoft_365_exchange", "dropbox", "box"
_KINDS = {EXCHANGE: "mailbox", DROPBOX: "drive", BOX: "user"}
_TERMS = Terms(
    prices={
        EXCHANGE: Price(300, 3000, tier=12, tier_monthly=250, tier_annual=2500),
        DROPBOX: Price(205, 2050, tier=5, tier_monthly=199, tier_annual=1990),
        BOX: Price(99, 990, tier=100, tier_monthly=90, tier_annual=900),
    },
    discount=Fraction(4, 10),
    tax=Fraction(17, 100),
)
_LIVES = (
    ("monthly", 40), ("trial, monthly by itself", 12), ("trial, subscribed monthly", 14),
    ("trial, subscribed annual", 8), ("annual", 8), ("trial, expires", 8), ("monthly, removed", 10),
)  # fmt: skip
"""How accounts live, and how often."""
_DAYS = (0, 5, 11, 16, 22)
"""Of the period, those on which the clock stops; and once more when the period is billed."""
_THREADS = 4
_EVENTS_IN_A_CALL = 60
_PATIENCE_SECONDS = 120

_Thing = TypeVar("_Thing")
_Event = dict[str, Any]


@dataclass
class _Customer:
    """An account, how it lives, and in whose portal it is."""

    account: Account
    life: str
    portal: str
    """A partner's id; empty for a direct account."""
    created_at: datetime
    chance: random.Random
    """Of its own, so that it makes no difference which thread comes first."""
    subscribing_on: date | None = None
    removing_on: date | None = None


@dataclass
class Month:
    api: Api
    engine: Api
    create_first_operator: str
    """The function's name."""
    chance: random.Random
    payment_day: int
    start: date
    end: date
    """The day on which the period is billed."""
    tag: str
    """Sets names and addresses of this month apart from those of others."""
    customers: list[_Customer] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    _events: int = 0
    _requests: int = 0
    _seconds: float = 0
    """That those requests took which were sent some at once."""
    _told_until: datetime | None = None
    _held_back: list[_Event] = field(default_factory=list)
    _invoices: dict[str, int] = field(default_factory=dict)
    """What annual invoices must come to, by account id."""
    _distributor: Api | None = None
    _tokens: dict[str, Api] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS))

    def play(self, partners: int, accounts: int) -> None:
        self._go_to(self.start, 8)
        with cloud.step("Adding a distributor and its partners"):
            self._add_distributor()
            portals = ["", *self._each(self._add_partner, range(partners))]
        births = sorted(self.chance.choices((0, 0, 0, 5, 11), k=accounts))
        for offset in _DAYS:
            day = self.start + timedelta(days=offset)
            self._go_to(day, 9)
            with cloud.step(f"Living {day}") as tell:
                born = [(number, portals) for number, birth in enumerate(births) if birth == offset]
                self.customers += self._each(self._add_customer, born)
                tell(f"{len(self.customers)} accounts")
                self._each(self._live, [(customer, day) for customer in self.customers])
                events = self._happened(held_back=0.2)
                tell(f"{len(events)} events")
                self._report(events)
                tell("jobs")
                self._run_jobs()
        self._go_to(self.end, 1)
        with cloud.step("The engine reports what was left over"):
            self._report([*self._held_back, *self._happened(held_back=0)])
            self._report_for_others()
        self._go_to(self.end, 2)
        self._bill()
        self._compare()

    # Time

    def _go_to(self, day: date, hour: int) -> None:
        clock.move_to(datetime.combine(day, time(hour), UTC))
        self._distributor = None
        self._tokens.clear()

    def _run_jobs(self) -> None:
        """The jobs of the night; what is to be invoiced in it is worked out before."""
        for customer in self.customers:
            account = customer.account
            if account.plan == "annual" and account.invoiced is None and account.subscribed_on is not None:
                self._invoices[account.account_id] = _TERMS.gross(_TERMS.invoice(account))
        for job in ("RunUsageSnapshot", "RunTrials", "RunAnnualBilling"):
            jobs.start(job)
        jobs.settle()

    def _bill(self) -> None:
        with cloud.step(f"Billing {self.start} to {self.end}"):
            for job, sent, seconds in jobs.run():
                self.figures[job] = f"{sent} messages, {seconds:.1f} s"

    # People

    def _as_operator(self) -> Api:
        """A local cloud without the demo has no operator yet."""
        try:
            return self.api.sign_in(OPERATOR_EMAIL, PASSWORD)
        except Refused:
            payload = json.dumps({"email": OPERATOR_EMAIL, "name": "First Operator"}).encode()
            cloud.client("lambda").invoke(FunctionName=self.create_first_operator, Payload=payload)
            self._confirm(OPERATOR_EMAIL)
            return self.api.sign_in(OPERATOR_EMAIL, PASSWORD)

    def _confirm(self, email: str) -> None:
        """Follow the link in the invitation and choose a password."""
        token = _until(lambda: _link_mailed_to(email))
        self.api.post("/auth/confirm-email", {"token": token, "password": PASSWORD})

    def _add_distributor(self) -> None:
        operator, email = self._as_operator(), f"admin@{self.tag}.example.com"
        operator.post("/operator/distributors", {
            "name": f"Distribution {self.tag}", "email": email, "country": "LU", "currency": "USD",
            "payment_day": self.payment_day, "billing_method": "invoice", "prices": _prices(),
            "tax_rate": "0.17", "tax_name": "VAT", "tax_id": "LU12345678",
        })  # fmt: skip
        self._confirm(email)

    def _as_distributor(self) -> Api:
        if self._distributor is None:
            self._distributor = self.api.sign_in(f"admin@{self.tag}.example.com", PASSWORD)
        return self._distributor

    def _as(self, portal: str) -> Api:
        """Acting in a partner's portal, which the distributor has entered, or in its own."""
        if not portal:
            return self._as_distributor()
        if portal not in self._tokens:
            tokens = self._as_distributor().post(f"/partners/{portal}/access")
            self._tokens[portal] = self.api.with_token(tokens["access_token"])
        return self._tokens[portal]

    def _add_partner(self, number: int) -> str:
        body = {
            "name": f"Partner {number:03d}",
            "email": f"partner-{number:03d}@{self.tag}.example.com",
            "country": "LU",
        }
        partner_id: str = self._as_distributor().post("/partners", body)["id"]
        return partner_id

    # Accounts

    def _add_customer(self, born: tuple[int, list[str]]) -> _Customer:
        number, portals = born
        # By its number, so that the threads' order makes no difference.
        chance = random.Random(f"{self.tag} {number}")
        life = chance.choices([life for life, _ in _LIVES], [often for _, often in _LIVES])[0]
        portal = portals[number % len(portals)]
        modes = {
            "monthly": {"mode": "subscription_without_trial", "plan": "monthly"},
            "monthly, removed": {"mode": "subscription_without_trial", "plan": "monthly"},
            "annual": {"mode": "subscription_without_trial", "plan": "annual"},
            "trial, monthly by itself": {"mode": "trial_with_auto_subscription", "plan": "monthly"},
        }
        added = self._as(portal).post("/accounts", {
            "name": f"Customer {number:05d}", "email": f"customer-{number:05d}@{self.tag}.example.com",
            "subscription": modes.get(life, {"mode": "trial_with_expiration"}),
        })  # fmt: skip
        customer = _Customer(Account(added["account_id"]), life, portal, clock.now(), chance)
        account, today = customer.account, customer.created_at.date()
        later = [day for offset in _DAYS if (day := self.start + timedelta(days=offset)) > today]
        if life == "trial, monthly by itself":
            account.plan, account.subscribed_on = "monthly", today + timedelta(days=14)
        elif life.startswith("trial, subscribed"):
            customer.subscribing_on = chance.choice(later)
        elif life != "trial, expires":
            account.plan, account.subscribed_on = life.partition(",")[0], today
        if life == "monthly, removed":
            customer.removing_on = chance.choice(later)
        for service in chance.sample([EXCHANGE, DROPBOX, BOX], k=chance.choice((1, 1, 2))):
            self._add_task(customer, service)
        return customer

    def _add_task(self, customer: _Customer, service: str) -> None:
        path = f"/accounts/{customer.account.account_id}/tasks"
        task = self._as(customer.portal).post(path, {"service": service, "name": f"Back up {service}"})
        customer.account.tasks[task["task_id"]] = Task(service)

    def _live(self, what: tuple[_Customer, date]) -> None:
        """What happens to an account on a day, apart from its backups."""
        customer, today = what
        account = customer.account
        path = f"/accounts/{account.account_id}"
        if customer.subscribing_on == today:
            account.plan, account.subscribed_on = customer.life.split()[-1], today
            body = {"plan": account.plan, "accounts": [account.account_id]}
            self._as(customer.portal).post("/accounts/subscribe", body)
        if customer.removing_on == today:
            self._as(customer.portal).delete(path, {"approve_data_removal": True})
            account.ended_on = today
        elif account.ended_on is None and customer.chance.random() < 0.02:
            task_id, task = next(iter(account.tasks.items()))
            if task.deleted_at is None:
                self._as(customer.portal).delete(f"{path}/tasks/{task_id}")
                task.deleted_at = clock.now()

    # What the engine reports

    def _happened(self, *, held_back: float) -> list[_Event]:
        """What happened to entities since the last time; a part of it is held back until the end."""
        now = clock.now()
        since, self._told_until = self._told_until or now - timedelta(minutes=30), now
        events: list[_Event] = []
        for customer in self.customers:
            for task_id, task in customer.account.tasks.items():
                if customer.account.ended_on is not None or task.deleted_at is not None:
                    continue
                if not task.entities or self.chance.random() < 0.5:
                    at = self._between(max(since, customer.created_at), now)
                    event = self._event(customer.account, task_id, task, at)
                    may_be_late = customer.removing_on is None and self.chance.random() < held_back
                    (self._held_back if may_be_late else events).append(event)
        return events

    def _event(self, account: Account, task_id: str, task: Task, at: datetime) -> _Event:
        self._events += 1
        kind = _KINDS[task.service]
        known = list(task.entities)
        fresh = [
            f"{kind}-{len(known) + number}" for number in range(self.chance.choice((0, 1, 2, 4)) or not known)
        ]
        touched = fresh + self.chance.sample(
            known, k=self.chance.randint(0 if fresh else 1, min(3, len(known)))
        )
        event: _Event = {
            "event_id": f"{self.tag}-{self._events}", "type": "entities.changed",
            "occurred_at": at.isoformat(), "account_id": account.account_id, "task_id": task_id,
            "entities": [self._entity(entity_id, kind) for entity_id in touched],
        }  # fmt: skip
        return event

    def _tasks(self) -> dict[str, Task]:
        return {task_id: task for each in self.customers for task_id, task in each.account.tasks.items()}

    def _entity(self, entity_id: str, kind: str) -> _Event:
        status = self.chance.choices(("active", "inactive", "archived"), (70, 20, 10))[0]
        licence = {"licensed": self.chance.random() < 0.85} if kind == "mailbox" else {}
        size = self.chance.randrange(10**10)
        return {
            "entity_id": entity_id,
            "name": entity_id,
            "kind": kind,
            "status": status,
            "bytes": size,
            **licence,
        }

    def _between(self, since: datetime, until: datetime) -> datetime:
        since = since.replace(microsecond=0)
        milliseconds = int((until - since).total_seconds() * 1000)
        return since + timedelta(milliseconds=self.chance.randrange(milliseconds))

    def _report(self, events: Iterable[_Event]) -> None:
        """In any order, every tenth event twice, some of those in one and the same call."""
        events, tasks = list(events), self._tasks()
        for event in events:
            _note(tasks[event["task_id"]], event)
        told = events + [event for event in events if self.chance.random() < 0.1]
        self.chance.shuffle(told)
        calls = [told[first : first + _EVENTS_IN_A_CALL] for first in range(0, len(told), _EVENTS_IN_A_CALL)]
        results = [result for of_call in self._each(self._report_call, calls) for result in of_call]
        taken = sorted(result["event_id"] for result in results if result["result"] == "accepted")
        self._expect(
            taken == sorted(event["event_id"] for event in events), "Not every event was taken in once."
        )
        refused = [result for result in results if result["result"] == "refused"]
        self._expect(not refused, f"{len(refused)} events were refused, such as {refused[:1]}")

    def _report_call(self, events: list[_Event]) -> list[_Event]:
        results: list[_Event] = self.engine.post("/engine/events", {"events": events})["results"]
        return results

    def _report_for_others(self) -> None:
        """Events that must not count: of nobody's account, of another account's task, of what was removed."""
        here, there = self.customers[0].account, self.customers[-1].account
        removed = [each.account for each in self.customers if each.account.ended_on is not None]
        entity = [self._entity("stranger", "drive")]
        foreign = [(f"acc_{'0' * 26}", next(iter(here.tasks))), (here.account_id, next(iter(there.tasks)))]
        foreign += [(account.account_id, next(iter(account.tasks))) for account in removed[:1]]
        events = [
            {
                "event_id": f"{self.tag}-foreign-{number}", "type": "entities.changed", "task_id": task_id,
                "account_id": account_id, "occurred_at": clock.now().isoformat(), "entities": entity,
            }
            for number, (account_id, task_id) in enumerate(foreign)
        ]  # fmt: skip
        results = self._report_call(events)
        self._expect(
            [result["result"] for result in results] == ["refused"] * len(foreign),
            f"Not all refused: {results}",
        )

    # The bills

    def _compare(self) -> None:
        api = self._as_distributor()
        bills = _until(lambda: api.get("/billing/history", kind="monthly", limit=100)["items"])
        if len(bills) != 1:
            raise cloud.Trouble(f"There are {len(bills)} consolidated bills, and there should be one.")
        bill = bills[0]
        expected = {
            key: line
            for customer in self.customers
            for key, line in self._lines_of(customer.account)
        }  # fmt: skip
        self.differences += _compared(expected, self._billed(bill["reference"]))
        gross = _TERMS.gross(sum(line.amount for line in expected.values()))
        self._expect(
            bill["amount"]["minor"] == gross, f"The bill is of {bill['amount']}, and should be of {gross}."
        )
        _, pdf = self._document(bill["reference"], "pdf")
        self._expect(pdf.startswith(b"%PDF-"), "The bill's PDF is none.")
        self._compare_invoices(api)
        self.figures |= {
            "requests": f"{self._requests}, {self._requests / self._seconds:.0f} a second",
            "administrator": f"admin@{self.tag}.example.com",
            "accounts": str(len(self.customers)),
            "events": str(self._events),
            "lines": str(len(expected)),
            "total": f"{gross / 100:.2f} USD",
            "differences": str(len(self.differences)),
        }

    def _lines_of(self, account: Account) -> list[tuple[Key, Line]]:
        """None when they come to nothing: what is free is not billed."""
        lines = list(_TERMS.monthly(account, self.start, self.end))
        return lines if any(line.amount for _, line in lines) else []

    def _compare_invoices(self, api: Api) -> None:
        billed = {
            invoice["account_id"]: invoice["amount"]["minor"]
            for invoice in _all(api, "/billing/history", kind="annual")
        }
        expected = {account_id: amount for account_id, amount in self._invoices.items() if amount}
        self._expect(
            billed == expected, f"Annual invoices differ: {sorted(billed.items() ^ expected.items())[:6]}"
        )

    def _billed(self, reference: str) -> dict[Key, Line]:
        name, text = self._document(reference, "csv")
        rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
        lines = {
            (row["Account ID"], row["Service"].lower().replace(" ", "_"), row["Kind"]): Line(
                int(row["Quantity"]),
                _minor(row["Unit price"]),
                int(row["Days"]),
                int(row["Days of period"]),
                _minor(row["Amount"]),
            )
            for row in rows
        }
        self._expect(len(lines) == len(rows), f"A line stands twice in {name}.")
        return lines

    def _document(self, reference: str, suffix: str) -> tuple[str, bytes]:
        url = self._as_distributor().get(f"/billing/history/{reference}/{suffix}")["url"]
        status, data = fetch("GET", url)
        self._expect(status == 200, f"The {suffix} of bill {reference} was answered {status}.")
        return f"{reference}.{suffix}", data

    # Means

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.differences.append(otherwise)

    def _each(self, do: Callable[[Any], _Thing], things: Iterable[Any]) -> list[_Thing]:
        """Do it for each, some at once; the results in the things' order."""
        began, sent = stopwatch.monotonic(), self.api.sent[0]
        done = list(self._threads.map(do, list(things)))
        self._seconds += stopwatch.monotonic() - began
        self._requests += self.api.sent[0] - sent
        return done


def _note(task: Task, event: _Event) -> None:
    """What an event says of a task's entities, to work the bills out from."""
    at = datetime.fromisoformat(event["occurred_at"])
    for entity in event["entities"]:
        billable = entity["status"] != "inactive" and entity.get("licensed", True)
        task.entities.setdefault(entity["entity_id"], []).append((at, event["event_id"], billable))


def _compared(expected: dict[Key, Line], billed: dict[Key, Line]) -> list[str]:
    return [
        f"{' '.join(key)}: billed {billed.get(key)}, should be {expected.get(key)}"
        for key in sorted(expected.keys() | billed.keys())
        if expected.get(key) != billed.get(key)
    ]


def _prices() -> dict[str, Any]:
    return {
        "currency": "USD",
        "discount": str(float(_TERMS.discount)),
        "services": {
            service: {
                "monthly": _amount(price.monthly),
                "annual": _amount(price.annual),
                "tiers": [
                    {
                        "minimum": price.tier,
                        "monthly": _amount(price.tier_monthly),
                        "annual": _amount(price.tier_annual),
                    }
                ],
            }
            for service, price in _TERMS.prices.items()
        },
    }


def _amount(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _minor(amount: str) -> int:
    whole, _, cents = amount.partition(".")
    return int(whole + cents)


def _all(api: Api, path: str, **query: Any) -> Iterator[Any]:
    """Every row of a list, page by page."""
    cursor: dict[str, str] = {}
    while True:
        page = api.get(path, limit=100, **query, **cursor)
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def _link_mailed_to(email: str) -> str | None:
    """The token of the link in the last mail to somebody."""
    _, data = fetch("GET", f"{cloud.ENDPOINT}/_ministack/ses/messages")
    mails = [mail for of_account in json.loads(data)["messages"].values() for mail in of_account]
    found = [re.search(r"#token=([\w-]+)", mail["BodyText"]) for mail in mails if email in mail["To"]]
    return found[-1][1] if found and found[-1] else None


def _until(look: Callable[[], _Thing]) -> _Thing:
    """What is there in the end; what is not there after a while will not come."""
    deadline = stopwatch.monotonic() + _PATIENCE_SECONDS
    while not (found := look()) and stopwatch.monotonic() < deadline:
        stopwatch.sleep(0.3)
    return found


def _of_the_local_cloud(seed: int) -> Month:
    """A month from the next payment day on, of a distributor of its own."""
    deployment = cloud.deployment()
    chance = random.Random(seed)
    payment_day = chance.randint(1, 31)
    start, end = period_after(payment_day, clock.now().date())
    api = Api(f"{deployment.api_url}/v1")
    return Month(
        api=api,
        engine=api.with_token(deployment.engine_token),
        create_first_operator=deployment.outputs["CreateFirstOperatorName"],
        chance=chance,
        payment_day=payment_day,
        start=start,
        end=end,
        tag=f"month-{seed}-{start:%Y%m%d}",
    )


def main(arguments: list[str]) -> str | None:
    parser = argparse.ArgumentParser(prog="python -m local.month", description=__doc__.partition("\n")[0])
    parser.add_argument("--partners", type=int, default=2)
    parser.add_argument("--accounts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args(arguments)
    if wanted.partners < 1 or wanted.accounts < 2:
        parser.error("a month needs a partner and two accounts at least")
    try:
        month = _of_the_local_cloud(wanted.seed)
        month.play(wanted.partners, wanted.accounts)
    except (cloud.Trouble, Refused) as trouble:
        return str(trouble)
    for name, figure in month.figures.items():
        print(f"{name:<20} {figure}")
    return "\n".join(month.differences[:20]) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
