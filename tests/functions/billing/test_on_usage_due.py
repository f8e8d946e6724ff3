"""The nightly snapshot, by the facts it leaves."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal.billing import facts
from portal.billing.records import Usage, find_usage, list_unsettled_usages
from portal.billing.usage import counts_on
from portal.distributors.records import get_schedule
from portal.periods import Period
from portal.scope import EVERYTHING
from portal.tree import Node
from tests.engine_events import NOON, changed, entity, event, on, report
from tests.trees import Tree, a_task, account_records, plant, store
from tests.world import Context, World

MAIL = "microsoft_365_exchange"


@pytest.fixture
def tree(world: World) -> Tree:
    """A distributor whose first snapshot is due at the midnight after it was created."""
    planted = plant(NOON)
    schedule = get_schedule(EVERYTHING, planted.distributor, "usage")
    schedule.due_at = datetime(2023, 1, 11, tzinfo=UTC)
    schedule.index()
    schedule.save()
    return planted


def night(world: World, day: int, *, month: int = 1) -> None:
    """The snapshot of the night that begins a day of 2023."""
    world.now = datetime(2023, month, day, 0, 20, tzinfo=UTC)
    world.run("billing.run_usage_snapshot")
    world.work("billing.on_usage_due", "Usage")


def usage_of(node: Node) -> Usage:
    found = find_usage(EVERYTHING, node)
    assert found is not None
    return found


def counts(node: Node, first: int, end: int, service: str = MAIL) -> list[Any]:
    days = Period(date(2023, 1, first), date(2023, 1, end))
    return counts_on(facts.load(usage_of(node).facts).get(service, []), days)


def test_the_counts_are_those_of_each_days_end_by_the_time_things_occurred(world: World, tree: Tree) -> None:
    report(
        world,
        changed(
            tree.account, tree.task_id, on(7, 23), entity("m1"), entity("m2"), entity("m3", licensed=False)
        ),
        changed(tree.account, tree.task_id, on(9, 3), entity("m2", status="inactive")),
        changed(tree.account, tree.task_id, on(9, 4), entity("m2", status="archived")),
        changed(tree.account, tree.task_id, on(10, 11), entity("m1", status="inactive")),
    )
    night(world, 11)
    assert counts(tree.account, 6, 11) == [0, 2, 2, 2, 1]


def test_only_days_that_have_ended_are_counted(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(10, 11)))
    night(world, 10)
    assert usage_of(tree.account).facts == {}
    night(world, 11)
    assert counts(tree.account, 9, 11) == [0, 1]


def test_what_happens_after_midnight_is_counted_the_next_night(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(10)))
    world.now = datetime(2023, 1, 11, 0, 10, tzinfo=UTC)
    report(world, changed(tree.account, tree.task_id, on(11, 0), entity("m2")))
    night(world, 11)
    assert counts(tree.account, 10, 12) == [1, 1]
    assert usage_of(tree.account).unsettled_from_on == date(2023, 1, 11)
    night(world, 12)
    assert counts(tree.account, 10, 12) == [1, 2]
    assert usage_of(tree.account).unsettled_from_on is None


def test_a_late_event_corrects_its_day_with_new_facts(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(8)))
    night(world, 11)
    before = usage_of(tree.account).facts[MAIL]
    report(world, changed(tree.account, tree.task_id, on(9), entity("m2")))
    night(world, 12)
    after = usage_of(tree.account).facts[MAIL]
    assert after[: len(before)] == before
    assert counts(tree.account, 7, 12) == [0, 1, 2, 2, 2]


def test_an_event_later_than_two_periods_counts_from_then_on(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(8)))
    night(world, 11)
    night(world, 20, month=3)
    report(world, changed(tree.account, tree.task_id, on(9), entity("m2")))
    night(world, 21, month=3)
    days = Period(date(2023, 1, 9), date(2023, 3, 21))
    assert (
        counts_on(facts.load(usage_of(tree.account).facts)[MAIL], days).index(2)
        == (date(2023, 3, 20) - timedelta(days=62) - days.start).days
    )


def test_a_job_that_was_silent_for_months_counts_every_day(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(2)))
    report(world, changed(tree.account, tree.task_id, on(9), entity("m1", status="inactive")))
    world.now = datetime(2023, 6, 1, tzinfo=UTC)
    report(world, changed(tree.account, tree.task_id, on(1, 0, month=6)))
    night(world, 2, month=6)
    assert counts(tree.account, 1, 11) == [0, 1, 1, 1, 1, 1, 1, 1, 0, 0]


def test_vanished_entities_are_free_from_then_on(world: World, tree: Tree) -> None:
    found = [{"entity_id": each, "name": each, "kind": "mailbox"} for each in ("m1", "m2")]
    report(
        world,
        event(tree.account, "discovery.completed", on(8), task_id=tree.task_id, new=found),
        event(tree.account, "discovery.completed", on(9), task_id=tree.task_id, vanished=["m1"]),
    )
    night(world, 11)
    assert counts(tree.account, 7, 11) == [0, 2, 1, 1]


def test_services_are_counted_apart(world: World, tree: Tree) -> None:
    store(a_task(tree.account, "tsk_box", NOON, "box"))
    report(
        world,
        changed(tree.account, tree.task_id, on(9), entity("m1"), entity("m2", licensed=False)),
        changed(tree.account, "tsk_box", on(9), entity("u1", kind="user", licensed=None)),
    )
    night(world, 11)
    assert (counts(tree.account, 9, 11), counts(tree.account, 9, 11, "box")) == ([1, 1], [1, 1])


def test_running_again_changes_nothing(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(9)))
    night(world, 11)
    before = usage_of(tree.account)
    message = {"distributor_id": tree.distributor.distributor, "as_of": "2023-01-11T00:20:00+00:00"}
    for _ in range(2):
        world.deliver("billing.on_usage_due", message)
    after = usage_of(tree.account)
    assert (after.version, after.facts) == (before.version, before.facts)
    assert get_schedule(EVERYTHING, tree.distributor, "usage").due_at == datetime(2023, 1, 12, tzinfo=UTC)


def test_a_run_as_of_an_earlier_night_leaves_later_days_to_be_counted(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(8)))
    night(world, 12)
    report(world, changed(tree.account, tree.task_id, on(7), entity("m2")))
    message = {"distributor_id": tree.distributor.distributor, "as_of": "2023-01-09T00:20:00+00:00"}
    world.deliver("billing.on_usage_due", message)
    assert get_schedule(EVERYTHING, tree.distributor, "usage").due_at == datetime(2023, 1, 13, tzinfo=UTC)
    night(world, 13)
    assert counts(tree.account, 6, 13) == [0, 1, 2, 2, 2, 2, 2]


def test_a_worker_that_runs_short_of_time_goes_on_in_a_new_message(world: World, tree: Tree) -> None:
    nodes = [tree.partner.child(f"acc_{number}") for number in range(5)]
    for node in nodes:
        store(*account_records(node, "Account", NOON), a_task(node, "tsk_1", NOON))
    report(world, *(changed(node, "tsk_1", on(9)) for node in nodes))
    world.now = datetime(2023, 1, 11, 0, 20, tzinfo=UTC)
    world.run("billing.run_usage_snapshot")
    world.context = Dwindling()
    assert world.work("billing.on_usage_due", "Usage") == 3
    assert [counts(node, 9, 11) for node in nodes] == [[1, 1]] * 5
    assert list(list_unsettled_usages(EVERYTHING, tree.distributor)) == []
    assert get_schedule(EVERYTHING, tree.distributor, "usage").due_at == datetime(2023, 1, 12, tzinfo=UTC)


class Dwindling(Context):
    """Time for two accounts in every invocation."""

    asked = 0

    def get_remaining_time_in_millis(self) -> int:
        self.asked += 1
        return 20_000 if self.asked % 3 == 0 else 600_000


def test_a_run_as_of_a_day_to_come_counts_until_now_and_is_due_again_tomorrow(
    world: World, tree: Tree
) -> None:
    report(world, changed(tree.account, tree.task_id, on(9)))
    world.now = datetime(2023, 1, 11, 0, 20, tzinfo=UTC)
    message = {"distributor_id": tree.distributor.distributor, "as_of": "2024-01-01T00:20:00+00:00"}
    world.deliver("billing.on_usage_due", message)
    assert get_schedule(EVERYTHING, tree.distributor, "usage").due_at == datetime(2023, 1, 12, tzinfo=UTC)
    report(world, changed(tree.account, tree.task_id, on(11, 0), entity("m2")))
    night(world, 12)
    assert counts(tree.account, 9, 12) == [1, 1, 2]


def test_an_account_that_cannot_be_settled_holds_up_no_other(world: World, tree: Tree) -> None:
    broken, sound = (tree.partner.child(f"acc_{number}") for number in range(2))
    for node in (broken, sound):
        store(*account_records(node, "Account", NOON), a_task(node, "tsk_1", NOON))
    report(world, changed(broken, "tsk_1", on(9)), changed(sound, "tsk_1", on(9)))
    usage = usage_of(broken)
    usage.facts = {MAIL: "unreadable"}
    usage.save()
    world.now = datetime(2023, 1, 11, 0, 20, tzinfo=UTC)
    message = {"distributor_id": tree.distributor.distributor, "as_of": world.now.isoformat()}
    with pytest.raises(AssertionError):
        world.deliver("billing.on_usage_due", message)
    assert counts(sound, 9, 11) == [1, 1]
    assert [each.node for each in list_unsettled_usages(EVERYTHING, tree.distributor)] == [broken]
    assert get_schedule(EVERYTHING, tree.distributor, "usage").due_at == datetime(2023, 1, 12, tzinfo=UTC)


def test_what_two_tasks_protect_counts_once(world: World, tree: Tree) -> None:
    store(a_task(tree.account, "tsk_again", NOON))
    report(
        world,
        changed(tree.account, tree.task_id, on(7), entity("m1"), entity("m2")),
        changed(tree.account, "tsk_again", on(8), entity("m1"), entity("m3")),
        changed(tree.account, tree.task_id, on(9), entity("m1", status="inactive")),
        changed(tree.account, "tsk_again", on(10), entity("m1", status="inactive")),
    )
    night(world, 11)
    assert counts(tree.account, 6, 11) == [0, 2, 3, 3, 2]


def test_an_account_that_was_never_backed_up_is_left_alone(world: World, tree: Tree) -> None:
    before = usage_of(tree.direct).version
    night(world, 11)
    assert usage_of(tree.direct).version == before
