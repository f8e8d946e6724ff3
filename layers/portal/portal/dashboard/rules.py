"""What an account adds to its partner's sums, and what is read off the sums.

A contribution maps names to numbers; sums are contributions too. It follows from the stored account alone,
not from the time, so that the sums can be made anew with the same result: a trial counts as expiring once the
trial job has said so, within minutes.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from portal.accounts.records import Account

Contribution = Mapping[str, int]
TaskStatus = Literal["no_accounts_yet", "no_tasks_yet", "failures", "successful"]

NOTHING: Contribution = {}


def contribution(account: "Account | None") -> dict[str, int]:
    """How an account counts: nothing for one that is gone.

    Keys: `accounts`, `size_bytes`, `with_tasks`, `trial_in_progress`, `trial_expiring`, `trial_expired`, and
    each backup status. Those that would be 0 are left out.
    """
    if account is None or account.state == "removed":
        return {}
    counted = {"accounts": 1, account.backup_status: 1, "size_bytes": int(account.size_bytes)}
    if account.task_count:
        counted["with_tasks"] = 1
    if account.state == "trial":
        counted["trial_expiring" if account.trial_stage == "expiring" else "trial_in_progress"] = 1
    elif account.state == "expired":
        counted["trial_expired"] = 1
    return _without_zeros(counted)


def add(sums: Contribution, more: Contribution) -> dict[str, int]:
    return _without_zeros({name: sums.get(name, 0) + more.get(name, 0) for name in {*sums, *more}})


def subtract(sums: Contribution, less: Contribution) -> dict[str, int]:
    return _without_zeros({name: sums.get(name, 0) - less.get(name, 0) for name in {*sums, *less}})


def total(contributions: Iterable[Contribution]) -> dict[str, int]:
    """The sum of any number of contributions."""
    sums: dict[str, int] = {}
    for each in contributions:
        for name, number in each.items():
            sums[name] = sums.get(name, 0) + number
    return _without_zeros(sums)


def task_status(counts: Contribution) -> TaskStatus:
    """What the row of a partner with these sums shows."""
    if not counts.get("accounts"):
        return "no_accounts_yet"
    if counts.get("failed") or counts.get("partially_failed"):
        return "failures"
    return "successful" if counts.get("with_tasks") else "no_tasks_yet"


def _without_zeros(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in sorted(counts.items()) if number}
