"""A vendor's life in any order: whatever is done next, the portal's books are the oracle's, after every step."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from portal import keys
from portal.billing.records import Bill as Record
from portal.billing.records import list_bills, list_parts
from portal.scope import EVERYTHING
from portal.tree import DIRECT, Node
from tests.books import balances
from tests.simulation.comparison import FIRST_NUMBER, compare_bill, key_of
from tests.simulation.diary import Account, Correction, Prices, ServicePrice, State
from tests.simulation.oracle import Bill, next_payment_date, term_on
from tests.simulation.play import Play
from tests.world import administrator

START = datetime.fromisoformat("2023-12-31T10:00:00+00:00")
"""So that the 29th of February is on the way, and payment days that months do not have."""
EXCHANGE, BOX = "microsoft_365_exchange", "box"
KINDS = {EXCHANGE: "mailbox", BOX: "user"}
FIRST_PRICES = Prices(
    date.min,
    START,
    Fraction(4, 10),
    {
        EXCHANGE: ServicePrice(300, 3000, tiers=((5, 250, 2500),)),
        BOX: ServicePrice(205, 2050, method="average", weights=(("inactive", Fraction(1, 4)),)),
    },
)
TERMS: dict[str, Any] = {
    "payment_day": 31,
    "currency": "USD",
    "tax": Fraction(17, 100),
    "reverse_charge": False,
    "method": "invoice",
}
JOBS = (
    ("subscriptions.run_trials", "subscriptions.on_trial_due", "Trials"),
    ("billing.run_usage_snapshot", "billing.on_usage_due", "Usage"),
    ("billing.run_monthly_billing", "billing.on_billing_due", "Billing"),
    ("billing.run_annual_billing", "billing.on_billing_due", "Billing"),
    ("billing.run_overdue", "billing.on_bill_due", "Overdue"),
    ("accounts.run_purge", "accounts.on_purge", "Purge"),
)
BEGINNINGS = (
    ("subscription_without_trial", "monthly"),
    ("subscription_without_trial", "annual"),
    ("trial_with_auto_subscription", "monthly"),
    ("trial_with_auto_subscription", "annual"),
    ("trial_with_expiration", ""),
)
SETTINGS = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)
choices = st.integers(0, 999)


class Portal(RuleBasedStateMachine):
    play: ClassVar[Play]
    rewind: ClassVar[Callable[[], tuple[str, str]]]
    steps: ClassVar[int] = 0
    compared: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.of, self.partner = type(self).rewind()
        self.bills: list[Record] = []
        """The issued ones, as they were after the last step."""
        self.looked_at = 0
        """How much was written by then."""
        self.versions: dict[str, str] = {}
        """Of all bills, by sort key."""
        self.frozen: dict[str, Any] = {}
        """By reference, the lines as they were issued."""
        self.dunned_on = date.min

    @initialize(beginnings=st.lists(st.sampled_from(BEGINNINGS), min_size=2, max_size=3))
    def the_first_accounts_are_there(self, beginnings: list[tuple[str, str]]) -> None:
        for number, beginning in enumerate(beginnings):
            self.create_account(beginning, direct=number == 0, count=number + 2)

    # Who is there

    @property
    def today(self) -> date:
        return self.play.now.date()

    def accounts(self) -> list[Account]:
        return [each for each in self.play.diary.accounts.values() if each.removed_at is None]

    def backed_up(self) -> list[tuple[Account, str]]:
        """The tasks that the engine reports of: of accounts that are there and no expired trials."""
        return [
            (account, task_id)
            for account in self.accounts()
            if not self._is_expired(account)
            for task_id, task in account.tasks.items()
            if task.deleted_at is None
        ]

    def open_bills(self) -> list[Record]:
        return [bill for bill in self.bills if bill.outstanding_minor]

    def spans(self, account: Account) -> list[tuple[str, date, date | None]]:
        return self.play.oracle.spans(account, self.play.now)

    def _is_expired(self, account: Account) -> bool:
        ends_at = account.trial_ends_at
        return not self.spans(account) and ends_at is not None and ends_at <= self.play.now

    # Accounts

    @rule(beginning=st.sampled_from(BEGINNINGS), direct=st.booleans(), count=st.integers(1, 6))
    def create_account(self, beginning: tuple[str, str], direct: bool, count: int) -> None:
        if len(self.accounts()) >= 6:
            return
        account = self.play.add_account(self.of, DIRECT if direct else self.partner, *beginning)
        task_id = self.play.add_task(account, EXCHANGE if count % 2 else BOX)
        self._tell(account, task_id, range(count), "active", self.play.now)

    @precondition(lambda self: self.accounts())
    @rule(which=choices, plan=st.sampled_from(("monthly", "annual")))
    def subscribe(self, which: int, plan: str) -> None:
        known = self.accounts()
        account = known[which % len(known)]
        if not self._is_expired(account):
            self.play.subscribe(account, plan)

    @precondition(lambda self: len(self.accounts()) > 1)
    @rule(which=choices)
    def remove(self, which: int) -> None:
        known = [each for each in self.accounts() if not self._is_expired(each)]
        if known and not self.play.is_waiting(self.of):
            self.play.remove(known[which % len(known)])

    @precondition(lambda self: self.accounts())
    @rule(which=choices, days=st.integers(0, 40))
    def change_plan(self, which: int, days: int) -> None:
        known = self.accounts()
        account = known[which % len(known)]
        begun = [span for span in self.spans(account) if span[1] <= self.today]
        if not begun or self.play.is_waiting(self.of):
            return
        plan, first, _ = begun[-1]
        if any(on > self.today for _, _, on in account.changes):
            self.play.keep_plan(account, plan)
        elif plan == "monthly":
            self.play.change_plan(account, "annual", self.today + timedelta(days=days))
        else:
            self.play.change_plan(account, "monthly", term_on(first, self.today)[1])

    # Backups

    @precondition(lambda self: self.backed_up())
    @rule(which=choices, count=st.integers(1, 9), status=st.sampled_from(("active", "inactive", "archived")))
    def something_changed(self, which: int, count: int, status: str) -> None:
        known = self.backed_up()
        self._tell(*known[which % len(known)], range(count), status, self.play.now)

    @precondition(lambda self: self.backed_up())
    @rule(which=choices, count=st.integers(1, 9), days=st.integers(1, 40))
    def something_had_changed_long_ago(self, which: int, count: int, days: int) -> None:
        known = self.backed_up()
        account, task_id = known[which % len(known)]
        if not self.play.is_waiting(self.of):
            at = max(account.created_at, self.play.now - timedelta(days=days))
            self._tell(account, task_id, range(count, 12), "active", at)

    @precondition(lambda self: self.play.diary.events)
    @rule(which=choices)
    def the_engine_repeats_itself(self, which: int) -> None:
        event = self.play.diary.events[which % len(self.play.diary.events)]
        known = len(self.play.diary.events)
        if event.told_at + timedelta(days=30) > self.play.now:
            assert self.play.tell([event])[event.event_id] in (
                "accepted",
                "account_removed",
                "unknown_account",
            )
            del self.play.diary.events[known:]

    @precondition(lambda self: self.backed_up())
    @rule(which=choices)
    def a_task_is_replaced(self, which: int) -> None:
        known = self.backed_up()
        account, task_id = known[which % len(known)]
        if len(account.tasks) < 2 and not self.play.is_waiting(self.of):
            again = self.play.add_task(account, account.tasks[task_id].service)
            self.play.delete_task(account, task_id)
            self._tell(account, again, range(2), "active", self.play.now)

    def _tell(self, account: Account, task_id: str, entities: range, status: str, at: datetime) -> None:
        kind = KINDS[account.tasks[task_id].service]
        states = [State(f"{kind}-{number}", kind, status, None) for number in entities]
        results = self.play.tell([self.play.event(account, task_id, at, *states)])
        assert set(results.values()) == {"accepted"}

    # Time

    @rule(days=st.integers(1, 16))
    def days_pass(self, days: int) -> None:
        self._nights_pass(days)

    @rule(on=st.booleans())
    def the_next_payment_day_comes(self, on: bool) -> None:
        """Or the day after it."""
        payment_day = self.play.diary.distributors[self.of].payment_day
        self._nights_pass((next_payment_date(payment_day, self.today) - self.today).days + (not on))

    @rule(days=st.sampled_from((3, 35, 70)))
    def no_job_runs_for_a_long_time(self, days: int) -> None:
        self._nights_pass(days)
        self.play.release_parked()

    @rule(which=st.integers(0, len(JOBS) - 1), again=st.integers(1, 2))
    def a_job_runs_again(self, which: int, again: int) -> None:
        job, worker, queue = JOBS[which]
        for _ in range(again):
            self.play.run(job)
        self.play.work(worker, queue)
        self.play.deliver_outbox()
        if job == "billing.run_overdue":
            self.dunned_on = self.today

    def _nights_pass(self, days: int) -> None:
        self.play.go_to(self.today + timedelta(days=days), time(0, 1))
        self.play.night()
        self.play.confirm_purges()
        self.dunned_on = self.today
        self.play.go_to(self.today, time(10))

    # Money

    @precondition(lambda self: self.open_bills())
    @rule(which=choices, percent=st.sampled_from((10, 50, 100)))
    def money_arrives(self, which: int, percent: int) -> None:
        known = self.open_bills()
        bill = known[which % len(known)]
        self.play.pay(bill.reference, max(1, int(bill.outstanding_minor) * percent // 100), "USD")

    @precondition(lambda self: self.open_bills())
    @rule(which=choices, percent=st.sampled_from((10, 50, 100)))
    def an_amount_is_credited(self, which: int, percent: int) -> None:
        known = self.open_bills()
        bill = known[which % len(known)]
        gross = max(1, int(bill.outstanding_minor) * percent // 100)
        self.play.credit(Correction(bill.reference, gross=gross), "USD")

    @precondition(lambda self: any(not bill.paid_minor and not bill.credited_minor for bill in self.bills))
    @rule(which=choices)
    def a_line_is_credited(self, which: int) -> None:
        known = [bill for bill in self.bills if not bill.paid_minor and not bill.credited_minor]
        record = known[which % len(known)]
        bill = self._expected()[key_of(record)]
        key, line = sorted(bill.lines.items())[which % len(bill.lines)]
        if line.amount:
            self.play.credit(Correction(record.reference, lines=((key, Fraction()),)), "USD")

    @rule(
        days=st.integers(1, 60),
        month=st.integers(1, 900),
        method=st.sampled_from(("peak", "average", "last")),
    )
    def prices_are_agreed(self, days: int, month: int, method: str) -> None:
        on = self.today + timedelta(days=days)
        distributor = self.play.diary.distributors[self.of]
        if all(prices.effective_on != on for prices in distributor.prices):
            price = ServicePrice(month, 9 * month, tiers=((3, month // 2, 4 * month),), method=method)
            weighted = ServicePrice(month, 9 * month, method=method, weights=(("archived", Fraction(1, 2)),))
            services = {EXCHANGE: price, BOX: weighted if month % 2 else price}
            self.play.set_prices(self.of, Prices(on, self.play.now, Fraction(month % 5, 8), services))

    @rule(day=st.sampled_from((1, 15, 28, 29, 30, 31)))
    def payment_details_are_given(self, day: int) -> None:
        """The payment day is free until there is a bill."""
        answer = self.play.world.call(
            "billing.set_payment_details",
            administrator(Node(self.of)),
            body={
                "currency": "USD", "payment_day": day, "title": "Dr", "first_name": "Ada", "last_name": "North",
                "billing_email": "office@north.example.com", "company": "North", "address_line_1": "1 Main Road",
                "country": "LU", "city": "Luxembourg", "postal_code": "1111", "phone": "+352 27 12 34 56",
            },
        )  # fmt: skip
        distributor = self.play.diary.distributors[self.of]
        is_free = not any(list_bills(EVERYTHING, Node(self.of), limit=1))
        assert answer.status == (200 if is_free or day == distributor.payment_day else 409), answer.text
        if answer.status == 200:
            distributor.payment_day = day

    @rule(method=st.sampled_from(("invoice", "credit_card")))
    def how_they_pay_is_set(self, method: str) -> None:
        if not self.play.is_waiting(self.of):
            self.play.set_method(self.of, method)

    @precondition(lambda self: self.play.is_waiting(self.of))
    @rule()
    def an_operator_releases_what_is_parked(self) -> None:
        self.play.release_parked()

    # What holds

    def _expected(self) -> dict[tuple[str, str, date], Bill]:
        return self.play.oracle.bills()

    @invariant()
    def every_bill_is_the_oracles(self) -> None:
        type(self).steps += 1
        assert self.play.differences == []
        if self.looked_at == self.play.swift.writes:
            return
        self.looked_at = self.play.swift.writes
        stored = self.play.swift.look(keys.node(Node(self.of)), keys.bill())
        changed = {
            item["sk"]["S"] for item in stored if self.versions.get(item["sk"]["S"]) != item["version"]["N"]
        }
        if not changed:
            return
        self.versions = {item["sk"]["S"]: item["version"]["N"] for item in stored}
        self.bills = [Record.from_raw_data(item) for item in stored if "reference" in item]
        expected, issued = self._expected(), {key_of(bill): bill for bill in self.bills}
        released = self.play.diary.released
        assert set(issued) == {
            key for key, bill in expected.items() if not bill.parked or key[1:] in released
        }
        settled = self.play.oracle.settle({bill.reference: expected[key] for key, bill in issued.items()})
        for bill in self.bills:
            if bill.sk in changed:
                self._check_issued(bill, expected[key_of(bill)], settled[bill.reference])
        numbers = sorted(int(bill.reference) for bill in self.bills)
        assert numbers == list(range(FIRST_NUMBER, FIRST_NUMBER + len(numbers)))
        owed = sum(bill.outstanding_minor for bill in self.bills)
        assert balances(Node(self.of)).get("receivable", 0) == owed

    def _check_issued(self, record: Record, bill: Bill, settled: Any) -> None:
        type(self).compared += 1
        parts = [(part.roster, part.lines, part.partners) for part in list_parts(EVERYTHING, record)]
        if record.reference not in self.frozen:
            assert list(compare_bill(self.play, record, bill)) == []
        assert self.frozen.setdefault(record.reference, parts) == parts, "an issued bill has changed"
        assert (record.paid_minor, record.credited_minor) == (settled.paid, settled.credited)
        if bill.gross == settled.paid + settled.credited:
            assert record.state in ("paid", "credited")
        else:
            assert record.state in ("issued", "overdue")

    @invariant()
    def what_is_past_due_is_overdue(self) -> None:
        for bill in self.open_bills():
            if bill.issued_on < self.dunned_on:
                assert (bill.state == "overdue") == (bill.due_on < self.dunned_on)

    @precondition(lambda self: self.accounts())
    @rule(which=choices)
    def somebody_looks_at_an_account(self, which: int) -> None:
        known = [each for each in self.accounts() if not self._is_expired(each)]
        if not known:
            return
        account = known[which % len(known)]
        shown = self.play.ask(
            "subscriptions.get_subscription", self.of, path={"account_id": account.account_id}
        )
        spans = self.spans(account)
        begun = [span for span in spans if span[1] <= self.today]
        assert shown["plan"] == (begun[-1][0] if begun else None)
        assert shown["subscribed_on"] == (spans[0][1].isoformat() if spans else None)
        if begun and begun[-1][0] == "annual":
            assert shown["renewal_date"] == term_on(begun[-1][1], self.today)[1].isoformat()


@pytest.mark.xdist_group("model")
def test_whatever_is_done_next_every_bill_is_right() -> None:
    with Play.begun(START, seed=0, months_looked_back=3) as play:
        of = play.add_distributor("North", FIRST_PRICES, **TERMS)
        partner = play.add_partner(of, "Partner")
        begun, diary = play.harness.snapshot(), play.diary

        def rewind() -> tuple[str, str]:
            play.harness.restore(begun)
            play.harness.calls.clear()
            play.begin_anew(diary)
            return of, partner

        Portal.play, Portal.rewind = play, staticmethod(rewind)
        Portal.steps = Portal.compared = 0
        run_state_machine_as_test(Portal, settings=SETTINGS)
    assert Portal.steps > 5_000
    assert Portal.compared > 1_000
