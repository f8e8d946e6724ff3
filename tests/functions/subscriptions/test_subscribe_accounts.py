from typing import Any

import pytest

from portal import keys
from portal.accounts.records import find_renewal
from portal.change import Change
from portal.journal import AuditEntry
from portal.scope import EVERYTHING
from portal.subscriptions import actions
from portal.table import Update, query, stage, write
from portal.tasks.rules import MOST_TASKS
from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_account, an_email, the_account
from tests.trees import a_task, a_user, biggest_tasks, store
from tests.world import Answer, Context, World, administrator


def subscribe(world: World, portal: Node, accounts: Any, plan: str = "monthly", **more: Any) -> Answer:
    body = {"plan": plan, "accounts": accounts}
    return world.call("subscriptions.subscribe_accounts", administrator(portal), body=body, **more)


def results(answer: Answer) -> dict[str, str]:
    assert answer.status == 200, answer.text
    return {item["account_id"]: item["result"] for item in answer.json["items"]}


def test_it_says_for_each_account_what_happened(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner = a_partner(world, distributor, an_email())
    trial, removed, subscribed = (an_account(world, partner) for _ in range(3))
    foreign = an_account(world, a_partner(world, distributor, an_email()))
    subscribe(world, partner, [subscribed.account], "annual")
    world.call(
        "accounts.remove_account",
        administrator(partner),
        path={"account_id": removed.account},
        body={"approve_data_removal": True},
    )
    asked = [trial.account, subscribed.account, removed.account, foreign.account, "acc_none", trial.account]
    answer = subscribe(world, partner, asked)
    assert results(answer) == {
        trial.account: "subscribed",
        subscribed.account: "already_subscribed",
        removed.account: "removal_pending",
        foreign.account: "not_found",
        "acc_none": "not_found",
    }
    assert answer.json["totals"] == {
        "subscribed": 1,
        "already_subscribed": 1,
        "removal_pending": 1,
        "not_found": 2,
    }
    assert (the_account(trial).state, the_account(trial).plan) == ("subscribed", "monthly")
    assert the_account(subscribed).plan == "annual"
    assert the_account(foreign).state == "trial"


def test_all_means_what_the_portal_lists(world: World) -> None:
    distributor = a_distributor(world, an_email())
    of_partner = an_account(world, a_partner(world, distributor, an_email()))
    direct = [an_account(world, distributor) for _ in range(3)]
    assert results(subscribe(world, distributor, "all")) == {node.account: "subscribed" for node in direct}
    assert the_account(of_partner).state == "trial"
    assert results(subscribe(world, distributor, [of_partner.account])) == {of_partner.account: "subscribed"}


def test_an_annual_subscription_is_invoiced_from_its_first_day(world: World) -> None:
    distributor = a_distributor(world, an_email())
    annual, monthly = an_account(world, distributor), an_account(world, distributor)
    world.advance(days=2)
    (
        subscribe(world, distributor, [annual.account], "annual"),
        subscribe(world, distributor, [monthly.account]),
    )
    assert str(the_account(annual).subscribed_on) == "2023-01-12"
    renewal = find_renewal(EVERYTHING, annual)
    assert renewal is not None
    assert renewal.due_at.isoformat() == "2023-01-12T00:00:00+00:00"
    assert find_renewal(EVERYTHING, monthly) is None


def test_each_account_has_its_audit_entry_and_repeats_none(world: World) -> None:
    distributor = a_distributor(world, an_email())
    accounts = [an_account(world, distributor, email=f"person-{n}@example.com").account for n in range(3)]
    subscribe(world, distributor, accounts), subscribe(world, distributor, accounts)
    entries = [
        entry.description
        for entry in query(AuditEntry, keys.node(distributor), "AUDIT")
        if entry.activity == "subscribed to plan"
    ]
    assert sorted(entries) == [f"Subscribed person-{n}@example.com to the monthly plan" for n in range(3)]


def test_a_repeated_request_gets_the_same_answer(world: World) -> None:
    distributor = a_distributor(world, an_email())
    account, headers = an_account(world, distributor), {"Idempotency-Key": "once"}
    answers = [subscribe(world, distributor, [account.account], headers=headers) for _ in range(2)]
    assert results(answers[0]) == results(answers[1]) == {account.account: "subscribed"}


def test_when_time_runs_short_the_rest_is_not_reached(world: World) -> None:
    distributor = a_distributor(world, an_email())
    accounts = sorted(an_account(world, distributor).account for _ in range(40))

    class Hurried(Context):
        """Answers as long as there is time for one batch."""

        left = iter([20_000, *([5_000] * 100)])

        def get_remaining_time_in_millis(self) -> int:
            return next(self.left)

    world.context = Hurried()
    first = subscribe(world, distributor, accounts)
    assert first.json["totals"] == {"subscribed": 33, "not_reached": 7}
    world.context = Context()
    again = subscribe(world, distributor, accounts)
    assert again.json["totals"] == {"subscribed": 7, "already_subscribed": 33}


def test_an_expired_account_is_backed_up_again(world: World) -> None:
    distributor = a_distributor(world, an_email())
    expired, other = an_account(world, distributor), an_account(world, distributor)
    store(a_task(expired, "tsk_1", world.now))
    world.advance(days=15)
    world.run("subscriptions.run_trials")
    world.work("subscriptions.on_trial_due", "Trials")
    world.stream("notifications.deliver_outbox")
    assert [command["command"] for command in world.messages("EngineCommands")] == ["task.pause"]
    assert results(subscribe(world, distributor, "all")) == {
        expired.account: "subscribed",
        other.account: "subscribed",
    }
    world.stream("notifications.deliver_outbox")
    assert [command["command"] for command in world.messages("EngineCommands")] == ["task.activate"]
    assert str(the_account(expired).subscribed_on) == "2023-01-25"


def test_a_trial_that_has_subscribed_itself_is_left_alone(world: World) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(
        world, distributor, subscription={"mode": "trial_with_auto_subscription", "plan": "annual"}
    )
    world.advance(days=14)
    assert results(subscribe(world, distributor, "all")) == {account.account: "already_subscribed"}


def test_a_user_with_a_list_of_accounts_subscribes_no_others(world: World) -> None:
    distributor = a_distributor(world, an_email())
    seen, hidden = an_account(world, distributor), an_account(world, distributor)
    limited = administrator(distributor, "usr_limited")
    store(a_user(limited, world.now, accessible=[seen.account]))
    caller = type(limited).from_context({**limited.to_context(), "limited": "yes"})
    for accounts in ("all", [seen.account, hidden.account]):
        world.call("subscriptions.subscribe_accounts", caller, body={"plan": "monthly", "accounts": accounts})
    assert (the_account(seen).state, the_account(hidden).state) == ("subscribed", "trial")


@pytest.mark.parametrize(
    "wrong",
    [
        {"plan": "weekly"},
        {"accounts": []},
        {"accounts": "some"},
        {"accounts": ["acc_1|P#x"]},
        {"accounts": ["acc_1"] * 5001},
        {"on": "2023-01-01"},
    ],
)
def test_nonsense_is_refused(world: World, wrong: dict[str, Any]) -> None:
    distributor = a_distributor(world, an_email())
    body = {"plan": "monthly", "accounts": ["acc_1"], **wrong}
    answer = world.call("subscriptions.subscribe_accounts", administrator(distributor), body=body)
    assert (answer.status, answer.code) == (400, "invalid")


def test_somebody_who_interferes_delays_one_account_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributor = a_distributor(world, an_email())
    first, second = an_account(world, distributor), an_account(world, distributor)
    find, interfered = actions.accounts.find_accounts_at, []

    def find_and_interfere(*arguments: Any) -> Any:
        found = find(*arguments)
        if not interfered:
            interfered.append(True)
            write([stage(Update(the_account(second), Change(size_bytes=7)))])
        return found

    monkeypatch.setattr(actions.accounts, "find_accounts_at", find_and_interfere)
    assert results(subscribe(world, distributor, "all")) == {
        first.account: "subscribed",
        second.account: "subscribed",
    }
    assert the_account(second).size_bytes == 7


def test_many_expired_accounts_with_many_tasks_all_go_on(world: World) -> None:
    distributor = a_distributor(world, an_email())
    accounts = [an_account(world, distributor) for _ in range(3)]
    for account in accounts:
        store(*(a_task(account, f"tsk_{n}", world.now) for n in range(MOST_TASKS)))
    world.advance(days=14)
    world.run("subscriptions.run_trials")
    world.work("subscriptions.on_trial_due", "Trials")
    world.stream("notifications.deliver_outbox")
    world.messages("EngineCommands")
    assert subscribe(world, distributor, "all").json["totals"] == {"subscribed": 3}
    world.stream("notifications.deliver_outbox")
    commands = world.messages("EngineCommands")
    assert {(command["account_id"], command["task_id"], command["command"]) for command in commands} == {
        (account.account, f"tsk_{n}", "task.activate") for account in accounts for n in range(MOST_TASKS)
    }


def test_the_biggest_tasks_stop_with_the_trial_and_come_back_with_the_subscription(world: World) -> None:
    distributor = a_distributor(world, an_email())
    account = an_account(world, distributor)
    tasks = biggest_tasks(account, world.now)
    store(*tasks)
    world.advance(days=14)
    world.run("subscriptions.run_trials")
    world.work("subscriptions.on_trial_due", "Trials")
    assert the_account(account).state == "expired"
    world.stream("notifications.deliver_outbox")
    assert len(world.messages("EngineCommands")) == len(tasks)
    assert results(subscribe(world, distributor, [account.account])) == {account.account: "subscribed"}
    world.stream("notifications.deliver_outbox")
    assert len(world.messages("EngineCommands")) == len(tasks)
