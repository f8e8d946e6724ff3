from typing import Any

import pytest

from portal.accounts.records import list_accounts
from portal.change import Change
from portal.consumer import Work
from portal.dashboard import actions
from portal.dashboard.records import RollUp, find_rolled_up, find_rollup
from portal.scope import EVERYTHING
from portal.table import Delete, Update, stage, write
from portal.tree import DIRECT, Node
from tests.builders import a_distributor, a_partner, an_account, an_email, the_account
from tests.world import Context, World


def rollup_of(partner: Node) -> RollUp:
    found = find_rollup(EVERYTHING, partner)
    assert found is not None
    return found


def rebuild(world: World) -> None:
    world.run("dashboard.run_rollup_rebuild")
    world.work("dashboard.on_rollup_rebuild", "Rollups")


def spoil(node: Node, **values: Any) -> None:
    write([stage(Update(rollup_of(node), Change(**values)))])


def test_sums_that_are_right_are_not_touched(world: World) -> None:
    distributor = a_distributor(world, an_email())
    an_account(world, distributor), an_account(world, a_partner(world, distributor, an_email()))
    world.stream("dashboard.keep_rollups")
    before = rollup_of(distributor.child(DIRECT)).version
    rebuild(world)
    assert rollup_of(distributor.child(DIRECT)).version == before


def test_sums_are_made_anew_whatever_became_of_them(world: World) -> None:
    distributor = a_distributor(world, an_email())
    wrong, missing, orphaned, forgotten = (a_partner(world, distributor, an_email()) for _ in range(4))
    for partner in (wrong, wrong, missing, forgotten):
        an_account(world, partner)
    gone = an_account(world, orphaned)
    world.stream("dashboard.keep_rollups")
    right = {partner: rollup_of(partner).sums for partner in (wrong, missing, forgotten)}
    spoil(wrong, counts={"accounts": 9, "failed": -3}, size_bytes=77)
    write([stage(Delete(rollup_of(missing)))])
    (added,) = find_rolled_up(EVERYTHING, [account_under(forgotten)]).values()
    write([stage(Update(added, Change(contribution={"accounts": 5})))])
    write([stage(Update(the_account(gone), Change(state="removed")))])
    rebuild(world)
    assert {partner: rollup_of(partner).sums for partner in right} == right
    assert rollup_of(orphaned).sums == {}


def account_under(partner: Node) -> Node:
    (account,) = list_accounts(EVERYTHING, partner)
    return account.node


def test_it_gives_the_same_result_while_the_stream_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    an_account(world, partner)
    world.stream("dashboard.keep_rollups")
    new = an_account(world, partner)
    spoil(partner, counts={"accounts": 9})
    find, come = actions.records.find_rolled_up, []

    def find_while_an_account_comes(scope: Any, nodes: Any) -> Any:
        found = find(scope, nodes)
        if len(come) < 3:
            come.append(True)
            if len(come) == 2:
                actions.roll_up(Work(world.now, world.context), [new])
        return found

    monkeypatch.setattr(actions.records, "find_rolled_up", find_while_an_account_comes)
    rebuild(world)
    assert rollup_of(partner).sums == {"accounts": 2, "no_backups": 2, "trial_in_progress": 2}


def test_without_time_it_goes_on_in_a_new_message(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partners = [a_partner(world, distributor, an_email()) for _ in range(3)]
    for partner in partners:
        an_account(world, partner)
    world.context = Context(milliseconds=1)
    world.deliver("dashboard.on_rollup_rebuild", {"distributor_id": distributor.distributor})
    assert find_rollup(EVERYTHING, partners[0]) is None
    world.context = Context()
    assert world.work("dashboard.on_rollup_rebuild", "Rollups") == 1
    assert [rollup_of(partner).sums["accounts"] for partner in partners] == [1, 1, 1]
