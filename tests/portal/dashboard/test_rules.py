from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import keys
from portal.accounts.records import Account
from portal.dashboard import rules
from portal.tree import Node

SUMS = st.dictionaries(st.sampled_from(["accounts", "failed", "size_bytes"]), st.integers(1, 10**12))


def account(**values: Any) -> Account:
    usual = {"state": "subscribed", "backup_status": "no_backups", "size_bytes": 0, "task_count": 0}
    return Account(keys.node(Node("dst_1", "prt_1", "acc_1")), keys.NODE, **{**usual, **values})


@pytest.mark.parametrize(
    ("record", "adds"),
    [
        (None, {}),
        (account(state="removed", size_bytes=5), {}),
        (account(), {"accounts": 1, "no_backups": 1}),
        (account(state="removal_pending"), {"accounts": 1, "no_backups": 1}),
        (
            account(backup_status="failed", size_bytes=5, task_count=2),
            {"accounts": 1, "failed": 1, "size_bytes": 5, "with_tasks": 1},
        ),
        (
            account(state="trial", trial_stage="started"),
            {"accounts": 1, "no_backups": 1, "trial_in_progress": 1},
        ),
        (
            account(state="trial", trial_stage="expiring"),
            {"accounts": 1, "no_backups": 1, "trial_expiring": 1},
        ),
        (
            account(state="expired", trial_stage="warned_once"),
            {"accounts": 1, "no_backups": 1, "trial_expired": 1},
        ),
    ],
)
def test_what_an_account_adds(record: Account | None, adds: dict[str, int]) -> None:
    assert rules.contribution(record) == adds


@given(SUMS, SUMS)
def test_what_was_added_can_be_taken_away_again(sums: dict[str, int], more: dict[str, int]) -> None:
    assert rules.subtract(rules.add(sums, more), more) == sums
    assert rules.add(sums, more) == rules.add(more, sums) == rules.total([sums, more])


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({}, "no_accounts_yet"),
        ({"accounts": 2, "no_backups": 2}, "no_tasks_yet"),
        ({"accounts": 2, "no_backups": 2, "with_tasks": 1}, "successful"),
        ({"accounts": 2, "successful": 2, "with_tasks": 2}, "successful"),
        ({"accounts": 2, "successful": 1, "failed": 1, "with_tasks": 2}, "failures"),
        ({"accounts": 2, "successful": 1, "partially_failed": 1, "with_tasks": 2}, "failures"),
    ],
)
def test_the_task_status_of_a_partner(counts: dict[str, int], status: str) -> None:
    assert rules.task_status(counts) == status
