"""Deleting what a deleted task has left: its entities, kept as long as days could still be counted anew, and
its runs."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from portal import keys
from portal.billing.records import find_usage
from portal.change import Change
from portal.scope import EVERYTHING
from portal.table import Delete, Update, erase, settled
from portal.tasks import records, rules
from portal.tree import Node

if TYPE_CHECKING:
    from portal.consumer import Work

_ERASED_AT_A_TIME = 500


def tidy(work: "Work", account: Node) -> bool:
    """Delete what deleted tasks of an account have left and nothing needs any longer.

    False when time ran out and it has to go on in a new message.
    """
    for task in list(records.list_tasks_ever(EVERYTHING, account)):
        if task.deleted_at is None or rules.tidied_from(task.deleted_at) > work.now.date():
            continue
        if not settled(partial(_delete, work, account, task.task_id)):
            return False
    settled(partial(_schedule_next, work, account))
    return True


def _delete(work: "Work", account: Node, task_id: str) -> bool:
    """The task goes last: as long as it is there, its entities are known to have ended."""
    tasks = {task.task_id: task for task in records.list_tasks_ever(EVERYTHING, account)}
    task = tasks.get(task_id)
    if task is None:
        return True
    doomed: Iterator[str] = (
        record.sk
        for records_left in (
            records.list_entities(EVERYTHING, account, task_id),
            records.list_runs(EVERYTHING, account, task_id),
        )
        for record in records_left
    )
    while some := list(islice(doomed, _ERASED_AT_A_TIME)):
        if work.time_is_short:
            return False
        erase(keys.node(account), some)
    work.commit(Delete(task))
    return True


def _schedule_next(work: "Work", account: Node) -> None:
    usage = find_usage(EVERYTHING, account)
    if usage is None:
        return
    deleted = (task.deleted_at for task in records.list_tasks_ever(EVERYTHING, account))
    next_on = min((rules.tidied_from(at) for at in deleted if at is not None), default=None)
    if usage.tidy_on != next_on:
        work.commit(Update(usage, Change(tidy_on=next_on)))
