from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from portal.accounts.records import Account
from portal.billing.records import Usage
from portal.change import Change
from portal.engine import rules
from portal.engine.events import EVENT, AnyEvent, BackupCompleted, EntitiesChanged
from portal.tasks.records import Entity, Task
from portal.tree import Node
from tests.engine_events import NOON, backup, changed, entity, event, on

NODE = Node("dst_1", "prt_1", "acc_1")


def parsed(given: dict[str, Any]) -> Any:
    return EVENT.validate_python(given)


def entities_at(day: int, hour: int = 10, **differing: Any) -> EntitiesChanged:
    told: EntitiesChanged = parsed(changed(NODE, "tsk_1", on(day, hour), entity(**differing)))
    return told


def run(day: int, run_id: str = "run", status: str = "success") -> BackupCompleted:
    ended: BackupCompleted = parsed(backup(NODE, "tsk_1", on(day), run_id=run_id, status=status))
    return ended


def test_the_engines_clock_may_be_an_hour_ahead() -> None:
    at = NOON + rules.AHEAD
    rules.check_time(parsed(changed(NODE, "tsk_1", at.isoformat())), NOON)
    with pytest.raises(rules.InTheFuture):
        rules.check_time(parsed(changed(NODE, "tsk_1", (at + timedelta(milliseconds=1)).isoformat())), NOON)


@pytest.mark.parametrize(
    ("state", "told", "closed", "taken"),
    [
        ("trial", entities_at(11), False, True),
        ("expired", run(9), False, True),
        ("removal_pending", entities_at(9), False, True),
        ("removal_pending", entities_at(9), True, False),
        ("removal_pending", entities_at(10, 12), False, False),
        ("removal_pending", run(9), False, False),
        ("removed", entities_at(9), False, False),
        ("removed", parsed(event(NODE, "purge.completed", on(11))), True, True),
    ],
)
def test_a_removed_account_takes_only_what_its_last_bill_needs(
    state: str, told: AnyEvent, closed: bool, taken: bool
) -> None:
    account, usage = Account("pk", "sk", state=state, removed_at=NOON), Usage("pk", "sk", closed=closed)
    if taken:
        rules.check_account(told, account, usage)
    else:
        with pytest.raises(rules.AccountRemoved):
            rules.check_account(told, account, usage)


def test_a_deleted_task_takes_what_occurred_before() -> None:
    deleted = Task("pk", "sk", state="deleting", deleted_at=NOON)
    rules.check_task(entities_at(9), deleted)
    with pytest.raises(rules.TaskDeleted):
        rules.check_task(entities_at(10, 12), deleted)


def test_a_tasks_purge_is_confirmed_once_it_was_asked_for() -> None:
    assert rules.task_purged(Task("pk", "sk", state="deleting")) == Change(state="deleted")
    assert rules.task_purged(Task("pk", "sk", state="deleted")) == Change()
    with pytest.raises(rules.TaskNotDeleted):
        rules.task_purged(Task("pk", "sk", state="active"))


def test_the_last_run_is_the_one_that_finished_last() -> None:
    runs = [run(8, "run-1", "failed"), run(9, "run-2", "partial"), run(9, "run-3")]
    for order in permutations(runs):
        task = Task("pk", "sk")
        for each in order:
            for name, value in rules.last_run(task, each).items():
                setattr(task, name, value)
        assert (task.last_run_id, task.last_run_status) == ("run-3", "success")


def test_days_are_counted_anew_from_the_earliest_that_is_still_recounted() -> None:
    usage = Usage("pk", "sk", unsettled_from_on=date(2023, 1, 9), entities_from_on=date(2023, 1, 3))
    assert rules.recount(usage, entities_at(10), NOON) == Change(
        unsettled_from_on=date(2023, 1, 9), entities_from_on=date(2023, 1, 3)
    )
    later = datetime(2023, 3, 13, tzinfo=UTC)
    assert rules.recount(Usage("pk", "sk"), entities_at(2), later) == Change(
        unsettled_from_on=date(2023, 1, 10), entities_from_on=date(2023, 1, 2)
    )


def test_name_and_size_are_those_of_the_latest_event_that_tells_them() -> None:
    known = Entity("pk", "sk", **rules.unseen("m1"))
    late, early = entities_at(9, name="Late", bytes=9), entities_at(8, name="Early", bytes=8)
    for told in (late, early):
        for change in (
            rules.described(known, told.entities[0], told),
            rules.measured(known, told.entities[0], told),
        ):
            for name, value in change.items():
                setattr(known, name, value)
    assert (known.name, known.size_bytes, known.changed_by) == ("Late", 9, late.event_id)


def test_an_entity_is_what_the_latest_state_says_and_inactive_once_vanished() -> None:
    known = Entity("pk", "sk", service="box", **rules.unseen("m1"))
    told = entities_at(9, status="archived", licensed=None)
    became = rules.became(known, told.entities[0], told, now=NOON, unsettled_from_on=NOON.date())
    assert (became["status"], became["licensed"]) == ("archived", None)
    known.timeline = became["timeline"]
    gone = rules.became(known, None, entities_at(8), now=NOON, unsettled_from_on=NOON.date())
    assert (gone["status"], len(gone["timeline"])) == ("archived", 2)
    gone = rules.became(known, None, entities_at(10), now=NOON, unsettled_from_on=NOON.date())
    assert gone["status"] == "inactive"


@pytest.mark.parametrize(
    ("status", "licensed", "billable"),
    [("active", True, True), ("active", None, True), ("archived", True, True), ("inactive", True, False),
     ("active", False, False), ("archived", False, False)],
)  # fmt: skip
def test_active_and_archived_mailboxes_are_billable_with_a_licence(
    status: str, licensed: bool | None, billable: bool
) -> None:
    mailbox = Entity(
        "pk", "sk", service="microsoft_365_exchange", entity_kind="mailbox", status=status, licensed=licensed
    )
    assert rules.counts_as_billable(mailbox) is billable
