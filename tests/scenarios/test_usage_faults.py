"""Engine events and the usage snapshot when anything fails, arrives twice or comes at once: the same counts
and sizes."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import pytest

from portal import keys
from portal.accounts.records import Account
from portal.billing import facts
from portal.billing.records import get_usage
from portal.billing.snapshot import settle_usage
from portal.billing.usage import counts_on
from portal.periods import Period
from portal.scope import EVERYTHING
from portal.table import find
from portal.tasks.records import Task, list_entities_ever, list_runs
from portal.tree import Node
from tests.engine_events import NOON, backup, changed, entity, event, on, outcomes, report
from tests.support import Harness
from tests.trees import Tree, a_task, account_records, plant, store
from tests.world import ENGINE, World

DAYS = Period(date(2023, 1, 5), date(2023, 1, 12))
UNTIL = date(2023, 1, 12)


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(NOON)


def read(model: type[Any], node: Node, sk: str) -> Any:
    found = find(model, keys.node(node), sk)
    assert found is not None
    return found


def counted(node: Node) -> list[Any]:
    usage = get_usage(EVERYTHING, node)
    return counts_on(facts.load(usage.facts).get("microsoft_365_exchange", []), DAYS)


def left_of(node: Node, task_id: str) -> Any:
    """What events have left of an account, without how often it was written."""
    account, task = read(Account, node, keys.NODE), read(Task, node, keys.task(task_id))
    entities = [
        (each.entity_id, each.name, each.status, each.size_bytes, each.timeline)
        for each in list_entities_ever(EVERYTHING, node)
    ]
    runs = [run.run_id for run in list_runs(EVERYTHING, node, task_id)]
    usage = get_usage(EVERYTHING, node)
    sizes = (
        account.size_bytes,
        account.backup_status,
        task.size_bytes,
        task.entity_count,
        task.billable_count,
    )
    return (
        entities,
        runs,
        sizes,
        task.run_count,
        task.last_run_id,
        usage.unsettled_from_on,
        usage.entities_from_on,
    )


def some_events(node: Node, task_id: str) -> list[dict[str, Any]]:
    return [
        changed(node, task_id, on(6), entity("m1", bytes=5), entity("m2", bytes=7)),
        event(node, "discovery.completed", on(7), task_id=task_id, vanished=["m1"]),
        changed(node, task_id, on(8), entity("m1", bytes=9, status="archived")),
        backup(node, task_id, on(9), status="partial"),
    ]


def send(world: World, events: list[dict[str, Any]]) -> Callable[[], Any]:
    return lambda: world.call("engine.report_events", ENGINE, body={"events": events})


@pytest.mark.money
def test_events_survive_every_fault(harness: Harness, world: World, tree: Tree) -> None:
    second = tree.partner.child("acc_2")
    store(*account_records(second, "Second", NOON), a_task(second, "tsk_2", NOON))
    events = some_events(tree.account, tree.task_id) + some_events(second, "tsk_2")
    action = send(world, events)
    start = harness.snapshot()
    action()
    expected = left_of(tree.account, tree.task_id), left_of(second, "tsk_2")
    harness.restore(start)
    runs = 0
    for run in harness.sweep(action):
        for later in ({"minutes": 1}, {"hours": 25}):
            struck = harness.snapshot()
            world.advance(**later)
            assert {each["result"] for each in report(world, *events)} <= {"accepted", "duplicate"}
            left = left_of(tree.account, tree.task_id), left_of(second, "tsk_2")
            assert left == expected, f"{run}, sent again after {later}"
            harness.restore(struck)
            runs += 1
    assert runs > 15


@pytest.mark.money
def test_every_event_once_twice_or_five_times_in_any_order_leaves_the_same(
    harness: Harness, world: World, tree: Tree
) -> None:
    events = some_events(tree.account, tree.task_id)
    start = harness.snapshot()
    report(world, *events)
    expected = left_of(tree.account, tree.task_id)
    chance = random.Random(harness.seed)
    for order in permutations(events):
        harness.restore(start)
        repeated = [each for each in order for _ in range(chance.choice((1, 2, 5)))]
        while repeated:
            size = chance.randint(1, len(repeated))
            report(world, *repeated[:size])
            repeated = repeated[size:]
        assert left_of(tree.account, tree.task_id) == expected, [each["type"] for each in order]


@pytest.mark.money
@pytest.mark.races
def test_the_same_call_at_once_is_taken_in_once(harness: Harness, world: World, tree: Tree) -> None:
    events = some_events(tree.account, tree.task_id)
    start = harness.snapshot()
    report(world, *events)
    expected = left_of(tree.account, tree.task_id)
    harness.restore(start)
    for seed, ended in harness.rounds(3, send(world, events), range(10)):
        # Whoever was interfered with too often says so, and sends again.
        assert {outcome.get().status for outcome in ended} <= {200, 409}, seed
        report(world, *events)
        assert left_of(tree.account, tree.task_id) == expected, seed


@pytest.mark.money
@pytest.mark.races
def test_runs_of_two_tasks_that_end_at_once_decide_the_status_together(
    harness: Harness, world: World, tree: Tree
) -> None:
    store(a_task(tree.account, "tsk_2", NOON))
    both = [backup(tree.account, task_id, on(8), status="partial") for task_id in (tree.task_id, "tsk_2")]
    report(world, *both)
    failing = [backup(tree.account, task_id, on(9), status="failed") for task_id in (tree.task_id, "tsk_2")]
    start = harness.snapshot()
    for seed in range(20):
        harness.restore(start)
        harness.run_together([send(world, [each]) for each in failing], seed=seed)
        report(world, *failing)
        assert read(Account, tree.account, keys.NODE).backup_status == "failed", seed


@pytest.mark.money
@pytest.mark.races
def test_events_during_a_snapshot_are_counted_now_or_next_time(
    harness: Harness, world: World, tree: Tree
) -> None:
    report(world, changed(tree.account, tree.task_id, on(6), entity("m1"), entity("m2")))
    world.now = datetime(2023, 1, 12, 0, 20, tzinfo=UTC)
    late = changed(
        tree.account, tree.task_id, on(7), entity("m2", status="inactive"), entity("m3"), entity("m4")
    )
    start = harness.snapshot()
    for seed in range(30):
        harness.restore(start)
        settle = lambda: settle_usage(tree.account, UNTIL, world.now)  # noqa: E731
        ended = harness.run_together([settle, settle, send(world, [late])], seed=seed)
        assert [outcome.error for outcome in ended] == [None] * 3, seed
        report(world, late)
        settle_usage(tree.account, UNTIL, world.now)
        assert counted(tree.account) == [0, 2, 3, 3, 3, 3, 3], seed
        assert get_usage(EVERYTHING, tree.account).unsettled_from_on is None


@pytest.mark.money
def test_the_snapshot_survives_every_fault(harness: Harness, world: World, tree: Tree) -> None:
    report(world, *some_events(tree.account, tree.task_id))
    world.now = datetime(2023, 1, 12, 0, 20, tzinfo=UTC)
    message = {"distributor_id": tree.distributor.distributor, "as_of": "2023-01-12T00:20:00+00:00"}

    def deliver() -> Any:
        try:
            world.deliver("billing.on_usage_due", message)
        except AssertionError:
            return "failed"
        return "done"

    for run in harness.sweep(deliver):
        world.advance(minutes=1)
        assert deliver() == "done", str(run)
        assert counted(tree.account) == [0, 2, 1, 2, 2, 2, 2], str(run)


@pytest.mark.money
def test_the_counts_of_a_purged_account_are_still_there_for_its_last_bill(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(8), entity("m1"), entity("m2")))
    path, body = {"account_id": tree.account.account}, {"approve_data_removal": True}
    world.call("accounts.remove_account", tree.users[tree.partner], path=path, body=body)
    report(world, event(tree.account, "purge.completed", on(10, 12)))
    world.run("accounts.run_purge")
    world.work("accounts.on_purge", "Purge")
    assert list(list_entities_ever(EVERYTHING, tree.account)) == []
    settle_usage(tree.account, UNTIL, world.now)
    assert counted(tree.account)[:5] == [0, 0, 0, 2, 2]


@pytest.mark.money
@pytest.mark.races
def test_deleting_a_task_while_it_grows_leaves_the_accounts_size_right(
    harness: Harness, world: World, tree: Tree
) -> None:
    store(a_task(tree.account, "tsk_2", NOON))
    report(world, changed(tree.account, "tsk_2", on(8), entity(bytes=3)))
    path = {"account_id": tree.account.account, "task_id": tree.task_id}
    start = harness.snapshot()
    for seed in range(20):
        harness.restore(start)
        grow = send(world, [changed(tree.account, tree.task_id, on(9), entity(bytes=1000))])
        delete = lambda: world.call("tasks.delete_task", tree.users[tree.account], path=path)  # noqa: E731
        harness.run_together([grow, delete], seed=seed)
        assert read(Account, tree.account, keys.NODE).size_bytes == 3, seed
        assert outcomes(world, changed(tree.account, tree.task_id, on(9), entity(bytes=5))) == ["accepted"]
        assert read(Account, tree.account, keys.NODE).size_bytes == 3, seed
