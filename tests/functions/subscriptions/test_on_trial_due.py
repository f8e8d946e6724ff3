from datetime import timedelta
from typing import Any

import pytest

from portal import keys
from portal.accounts.records import find_renewal
from portal.accounts.rules import remove
from portal.journal import AuditEntry
from portal.scope import EVERYTHING
from portal.subscriptions import actions
from portal.subscriptions.rules import subscribe
from portal.table import Update, query, stage, write
from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_account, an_email, deliver_mail, the_account
from tests.trees import a_task, a_user, store
from tests.world import World, administrator

ANNUAL = {"mode": "trial_with_auto_subscription", "plan": "annual"}


def run_trials(world: World, times: int = 1) -> None:
    for _ in range(times):
        world.run("subscriptions.run_trials")
        world.work("subscriptions.on_trial_due", "Trials")


def sent(world: World, queue: str) -> list[dict[str, Any]]:
    world.stream("notifications.deliver_outbox")
    return world.messages(queue)


def described(portal: Node, activity: str) -> list[str]:
    return [e.description for e in query(AuditEntry, keys.node(portal), "AUDIT") if e.activity == activity]


def test_three_days_before_its_end_a_trial_is_announced_once(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), "pam@example.com")
    account = an_account(world, partner, email="rosy@example.com")
    sent(world, "Mail")
    world.advance(days=11)
    run_trials(world, times=3)
    mails = [(mail["template"], mail["node"], mail["to"]) for mail in sent(world, "Mail")]
    assert mails == [
        ("trial_expiring", str(account), ["rosy@example.com"]),
        ("trial_expiring", str(partner), ["pam@example.com"]),
    ]
    assert the_account(account).trial_stage == "expiring"


def test_the_end_expires_a_trial_and_pauses_its_backups_once(world: World) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(world, distributor, email="rosy@example.com")
    store(a_task(account, "tsk_1", world.now))
    world.advance(days=14)
    run_trials(world, times=3)
    assert the_account(account).state == "expired"
    (command,) = sent(world, "EngineCommands")
    assert (command["command"], command["task_id"], command["revision"]) == ("task.pause", "tsk_1", 2)
    assert described(distributor, "trial canceled") == [
        "The trial of rosy@example.com ended without a subscription"
    ]


@pytest.mark.parametrize("late", [timedelta(), timedelta(days=3), timedelta(days=70)])
def test_the_end_subscribes_a_trial_as_of_that_day_however_late(world: World, late: timedelta) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(world, distributor, email="rosy@example.com", subscription=ANNUAL)
    world.now += timedelta(days=14) + late
    run_trials(world, times=2)
    ended = the_account(account)
    assert (ended.state, ended.plan, str(ended.subscribed_on)) == ("subscribed", "annual", "2023-01-24")
    renewal = find_renewal(EVERYTHING, account)
    assert renewal is not None
    assert renewal.due_at.isoformat() == "2023-01-24T00:00:00+00:00"
    assert described(distributor, "subscribed to plan") == ["Subscribed rosy@example.com to the annual plan"]


def test_nothing_happens_a_moment_too_early(world: World) -> None:
    account = an_account(world, a_distributor(world, an_email()))
    before = the_account(account).version
    world.now += timedelta(days=11) - timedelta(milliseconds=1)
    world.deliver("subscriptions.on_trial_due", {"account": str(account)})
    assert the_account(account).version == before
    world.now += timedelta(days=3)
    world.deliver("subscriptions.on_trial_due", {"account": str(account)})
    assert (the_account(account).state, the_account(account).trial_stage) == ("trial", "expiring")


def test_an_expired_account_is_warned_twice_and_removed_after_thirty_days(world: World) -> None:
    distributor = a_distributor(world, "office@example.com")
    account = an_account(world, distributor, email="rosy@example.com")
    world.now += timedelta(days=14)
    run_trials(world)
    sent(world, "Mail"), sent(world, "EngineCommands")
    told: dict[int, list[str]] = {}
    for day in range(1, 32):
        world.advance(days=1)
        run_trials(world, times=2)
        for mail in sent(world, "Mail"):
            told.setdefault(day, []).append(f"{mail['template']} {mail['to'][0]} {mail['parameters']['at']}")
        if day < 30:
            assert the_account(account).state == "expired"
    assert told == {
        day: [
            f"trial_data_deletion {to} 2023-02-23 12:00 UTC"
            for to in ("rosy@example.com", "office@example.com")
        ]
        for day in (23, 29)
    }
    assert the_account(account).state == "removal_pending"
    assert [command["command"] for command in sent(world, "EngineCommands")] == ["account.purge"]
    assert len(described(distributor, "account removed")) == 1


def test_no_data_goes_without_its_warnings_even_after_a_long_silence(world: World) -> None:
    account = an_account(world, a_distributor(world, an_email()))
    world.advance(days=100)
    run_trials(world)
    assert the_account(account).trial_stage == "warned_once"
    world.advance(days=6)
    run_trials(world)
    assert the_account(account).trial_stage == "warned_twice"
    world.advance(hours=23)
    run_trials(world)
    assert the_account(account).state == "expired"
    world.advance(hours=1)
    run_trials(world)
    assert the_account(account).state == "removal_pending"


def test_who_subscribes_in_time_is_neither_expired_nor_warned(world: World) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(world, distributor)
    world.advance(days=13)
    body = {"plan": "monthly", "accounts": "all"}
    world.call("subscriptions.subscribe_accounts", administrator(distributor), body=body)
    sent(world, "Mail")
    for _ in range(40):
        world.advance(days=1)
        world.deliver("subscriptions.on_trial_due", {"account": str(account)})
    assert the_account(account).state == "subscribed"
    assert sent(world, "Mail") == []


def test_an_account_that_is_gone_is_no_error(world: World) -> None:
    distributor = a_distributor(world, an_email())
    world.deliver("subscriptions.on_trial_due", {"account": f"{distributor}/direct/acc_none"})
    assert world.call("accounts.list_accounts", administrator(distributor)).json["total"] == 0


@pytest.mark.parametrize("ended", ["subscribed", "removed"])
def test_whoever_comes_first_ends_the_trial(
    world: World, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(world, distributor, email="rosy@example.com")
    world.advance(days=14)
    find, interfered = actions.accounts.find_account_at, []

    def find_and_interfere(*arguments: Any) -> Any:
        found = find(*arguments)
        if not interfered:
            interfered.append(True)
            record = the_account(account)
            change = (
                subscribe(record, "annual", world.now) if ended == "subscribed" else remove(record, world.now)
            )
            write([stage(Update(record, change))])
        return found

    monkeypatch.setattr(actions.accounts, "find_account_at", find_and_interfere)
    world.deliver("subscriptions.on_trial_due", {"account": str(account)})
    assert the_account(account).state == ("subscribed" if ended == "subscribed" else "removal_pending")
    assert described(distributor, "trial canceled") == []


def test_who_may_not_see_the_account_is_not_told_of_it(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), "pam@example.com")
    account, other = an_account(world, partner, email="rosy@example.com"), an_account(world, partner)
    for name, seen in (("sees", account), ("sees-another", other)):
        limited = administrator(partner, f"usr_{name}", f"{name}@example.com")
        store(a_user(limited, world.now, accessible=[seen.account]))
    sent(world, "Mail")
    world.advance(days=11)
    world.deliver("subscriptions.on_trial_due", {"account": str(account)})
    told = sorted(to for mail in sent(world, "Mail") for to in mail["to"])
    assert told == ["pam@example.com", "rosy@example.com", "sees@example.com"]


@pytest.mark.parametrize(
    ("subscription", "said"),
    [(ANNUAL, "It is then subscribed to the annual plan."), (None, "its backups stop.")],
)
def test_the_mail_says_what_the_trial_will_become(world: World, subscription: Any, said: str) -> None:
    distributor = a_distributor(world, an_email())
    an_account(world, distributor, email="rosy@example.com", subscription=subscription)
    deliver_mail(world)
    world.advance(days=11)
    run_trials(world)
    mail = next(mail for mail in deliver_mail(world) if mail.to == "rosy@example.com")
    assert mail.subject == "The trial of Rosy White ends soon"
    assert "ends on 2023-01-24 12:00 UTC." in mail.text
    assert said in mail.text
