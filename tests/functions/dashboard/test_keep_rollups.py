from random import Random
from typing import Any

import pytest

from portal.change import Change
from portal.consumer import Work
from portal.dashboard import actions
from portal.dashboard.records import find_rolled_up, find_rollup
from portal.partners.records import get_partner_at
from portal.scope import EVERYTHING
from portal.table import Update, stage, write
from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_account, an_email, the_account
from tests.world import World, administrator


def change(node: Node, **values: Any) -> None:
    write([stage(Update(the_account(node), Change(**values)))])


def sums(partner: Node) -> dict[str, int] | None:
    rollup = find_rollup(EVERYTHING, partner)
    return rollup.sums if rollup else None


def deliver(world: World, records: list[dict[str, Any]]) -> None:
    world.handler("dashboard.keep_rollups")({"Records": records}, world.context)


def test_the_sums_follow_every_change(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    first, second = an_account(world, partner), an_account(world, partner)
    world.stream("dashboard.keep_rollups")
    assert sums(partner) == {"accounts": 2, "no_backups": 2, "trial_in_progress": 2}
    change(first, backup_status="failed", size_bytes=5, task_count=1)
    world.stream("dashboard.keep_rollups")
    assert sums(partner) == {
        "accounts": 2,
        "failed": 1,
        "no_backups": 1,
        "size_bytes": 5,
        "trial_in_progress": 2,
        "with_tasks": 1,
    }
    change(first, state="removed"), change(second, state="subscribed")
    world.stream("dashboard.keep_rollups")
    assert sums(partner) == {"accounts": 1, "no_backups": 1}
    assert find_rolled_up(EVERYTHING, [first]) == {}


@pytest.mark.parametrize("seed", range(5))
def test_repeats_and_any_order_end_in_the_same_sums(world: World, seed: int) -> None:
    distributor = a_distributor(world, an_email())
    partner, other = a_partner(world, distributor, an_email()), a_partner(world, distributor, an_email())
    accounts = [an_account(world, portal) for portal in (partner, partner, other)]
    change(accounts[0], size_bytes=5, backup_status="failed")
    change(accounts[0], size_bytes=9, backup_status="successful")
    change(accounts[1], state="removed")
    change(accounts[2], state="subscribed")
    records = world._stream_records() * 3
    Random(seed).shuffle(records)
    while records:
        deliver(world, records[:7])
        del records[:7]
    assert sums(partner) == {"accounts": 1, "size_bytes": 9, "successful": 1, "trial_in_progress": 1}
    assert sums(other) == {"accounts": 1, "no_backups": 1}


def test_a_hundred_changes_at_once_fit(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    for _ in range(100):
        an_account(world, partner)
    deliver(world, world._stream_records())
    assert sums(partner) == {"accounts": 100, "no_backups": 100, "trial_in_progress": 100}


def test_whoever_adds_to_the_same_sums_at_the_same_time_is_not_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    first, second = an_account(world, partner), an_account(world, partner)
    find, interfered = actions.find_accounts_at, []

    def find_and_interfere(scope: Any, nodes: Any) -> Any:
        found = find(scope, nodes)
        if not interfered:
            interfered.append(True)
            change(first, size_bytes=5)
            actions.roll_up(Work(world.now, world.context), [first])
        return found

    records = world._stream_records()
    monkeypatch.setattr(actions, "find_accounts_at", find_and_interfere)
    deliver(world, records)
    assert sums(partner) == {"accounts": 2, "no_backups": 2, "size_bytes": 5, "trial_in_progress": 2}
    assert set(find_rolled_up(EVERYTHING, [first, second])) == {first, second}


def test_changes_of_accounts_of_a_removed_partner_make_no_sums(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner = a_partner(world, distributor, an_email())
    account = an_account(world, partner)
    world.stream("dashboard.keep_rollups")
    change(account, state="removed")
    write([stage(Update(get_partner_at(EVERYTHING, partner), Change(account_count=0)))])
    path = {"partner_id": partner.partner}
    assert world.call("partners.remove_partner", administrator(distributor), path=path).status == 204
    world.stream("dashboard.keep_rollups")
    assert sums(partner) is None
