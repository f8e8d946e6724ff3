"""A job that has been silent for days, weeks or months, while the others ran: afterwards all is as it should be."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

import pytest

from portal.billing.records import Bill, list_bills
from portal.scope import EVERYTHING
from portal.tree import DIRECT, Node
from tests.simulation.comparison import compare
from tests.simulation.diary import Account, Diary, Prices, ServicePrice, State
from tests.simulation.oracle import a_year_later, term_on
from tests.simulation.play import Play

BEGIN = datetime.fromisoformat("2023-12-04T08:00:00+00:00")
SILENT_FROM = date(2023, 12, 30)
"""The eve of a payment day; trials are about to end, a term to begin and the first bill to be due."""
PRICES = Prices(date.min, BEGIN, Fraction(4, 10), {"box": ServicePrice(205, 2050, tiers=((3, 199, 1990),))})
JOBS = (
    "subscriptions.run_trials",
    "billing.run_usage_snapshot",
    "billing.run_monthly_billing",
    "billing.run_annual_billing",
    "billing.run_overdue",
    "accounts.run_purge",
)
BEGINNINGS = (
    ("subscription_without_trial", "monthly"),
    ("subscription_without_trial", "annual"),
    ("trial_with_auto_subscription", "monthly"),
    ("trial_with_auto_subscription", "annual"),
    ("trial_with_expiration", ""),
)


@dataclass
class Begun:
    play: Play
    of: str
    state: Any
    diary: Diary

    def again(self) -> Play:
        self.play.harness.restore(self.state)
        self.play.begin_anew(self.diary)
        return self.play


@pytest.fixture(scope="module")
def begun() -> Iterator[Begun]:
    """A distributor with accounts of every kind from two weeks before and from the last days, and a bill to be paid."""
    with Play.begun(BEGIN, seed=0, months_looked_back=5) as play:
        of = play.add_distributor(
            "North",
            PRICES,
            payment_day=31,
            currency="USD",
            tax=Fraction(17, 100),
            reverse_charge=False,
            method="invoice",
        )
        kept = [_begin(play, of, *each) for each in BEGINNINGS]
        _night(play, date(2023, 12, 18))
        last = [_begin(play, of, *each) for each in BEGINNINGS]
        play.remove(kept[0])
        _night(play, date(2023, 12, 29))
        _grow(play, [*kept[1:4], *last])
        yield Begun(play, of, play.harness.snapshot(), play.diary)


def _begin(play: Play, of: str, mode: str, plan: str) -> Account:
    account = play.add_account(of, DIRECT, mode, plan)
    task_id = play.add_task(account, "box")
    play.tell([play.event(account, task_id, play.now, State("e0", "user", "active", None))])
    return account


def _grow(play: Play, accounts: list[Account]) -> None:
    for account in accounts:
        (task_id,) = account.tasks
        states = [State(f"e{number}", "user", "active", None) for number in range(4)]
        play.tell([play.event(account, task_id, play.now, *states)])


def _night(play: Play, day: date, without: str = "") -> None:
    play.go_to(day, time(0, 1))
    play.night(without=without)
    play.confirm_purges()
    play.go_to(day, time(10))


@pytest.mark.parametrize("days", [1, 3, 35, 70])
@pytest.mark.parametrize("job", JOBS)
def test_after_a_silence_everything_is_as_it_should_be(begun: Begun, job: str, days: int) -> None:
    play = begun.again()
    for after in sorted({1, 2, 7, 14, 32, 33, 62, 63, 64} & set(range(days))):
        _night(play, SILENT_FROM + timedelta(days=after), without=job)
    back = SILENT_FROM + timedelta(days=days)
    _night(play, back)
    while play.release_parked():
        assert (job, days) == ("billing.run_monthly_billing", 70)
    _night(play, back + timedelta(days=1))
    _night(play, back + timedelta(days=40))

    assert compare(play).differences == []
    _check_bills(play, list(list_bills(EVERYTHING, Node(begun.of))))
    for account in play.diary.accounts.values():
        _check_account(play, begun.of, account)


def _check_bills(play: Play, bills: list[Bill]) -> None:
    today = play.now.date()
    assert any(bill.state == "overdue" for bill in bills)
    for bill in bills:
        if bill.reference:
            assert bill.state == ("overdue" if bill.due_on < today else "issued")


def _check_account(play: Play, of: str, account: Account) -> None:
    """Trials have ended as what they were to become on their day, and not when somebody came to look."""
    spans = play.oracle.spans(account, play.now)
    if account.removed_at is not None or not spans:
        return
    shown = play.ask("subscriptions.get_subscription", of, path={"account_id": account.account_id})
    ((plan, first, _),) = spans
    assert (shown["plan"], shown["subscribed_on"]) == (plan, first.isoformat())
    if plan == "annual":
        assert shown["renewal_date"] == term_on(first, play.now.date())[1].isoformat()
        assert (account.account_id, first) in play.diary.invoicing_begun
        assert a_year_later(first, 1).isoformat() == shown["renewal_date"]
