from typing import Any

from portal.change import Change
from portal.table import Update, stage, write
from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_account, an_email, the_account
from tests.trees import a_user, store
from tests.world import World, administrator

NOTHING = {
    "total_accounts": 0,
    "total_size_bytes": 0,
    "trial": {"in_progress": 0, "expiring": 0, "expired": 0},
    "backup": {"no_backup": 0, "successful": 0, "partially_failed": 0, "failed": 0},
}


def change(node: Node, **values: Any) -> None:
    write([stage(Update(the_account(node), Change(**values)))])


def test_it_sums_over_everything_below_the_portal(world: World) -> None:
    distributor = a_distributor(world, an_email())
    partner, other = a_partner(world, distributor, an_email()), a_partner(world, distributor, an_email())
    failed, trial = an_account(world, partner), an_account(world, partner)
    direct = an_account(
        world, distributor, subscription={"mode": "subscription_without_trial", "plan": "annual"}
    )
    change(failed, size_bytes=100, backup_status="failed", state="expired")
    change(direct, size_bytes=11, backup_status="successful")
    change(trial, trial_stage="expiring")
    an_account(world, a_distributor(world, an_email()))
    world.stream("dashboard.keep_rollups")
    seen = {
        portal: world.call("dashboard.get_dashboard", administrator(portal)).json
        for portal in (distributor, partner, other)
    }
    of_partner = {
        "total_accounts": 2,
        "total_size_bytes": 100,
        "trial": {"in_progress": 0, "expiring": 1, "expired": 1},
        "backup": {"no_backup": 1, "successful": 0, "partially_failed": 0, "failed": 1},
    }
    assert seen[partner] == of_partner
    assert seen[other] == NOTHING
    assert seen[distributor] == {
        "total_accounts": 3,
        "total_size_bytes": 111,
        "trial": {"in_progress": 0, "expiring": 1, "expired": 1},
        "backup": {"no_backup": 1, "successful": 1, "partially_failed": 0, "failed": 1},
        "amount_owed": {"amount": "0.00", "minor": 0, "currency": "USD"},
    }


def test_a_limited_user_sees_sums_over_accessible_accounts_only(world: World) -> None:
    distributor = a_distributor(world, an_email())
    shown, hidden = a_partner(world, distributor, an_email()), a_partner(world, distributor, an_email())
    for partner in (shown, hidden):
        change(an_account(world, partner), size_bytes=100)
    direct, unseen = an_account(world, distributor), an_account(world, distributor)
    change(direct, size_bytes=7), change(unseen, size_bytes=1000)
    world.stream("dashboard.keep_rollups")
    for portal, accessible, accounts, size in (
        (distributor, [shown.partner, direct.account], 2, 107),
        (distributor, [], 0, 0),
        (shown, ["acc_none"], 0, 0),
    ):
        limited = administrator(portal, f"usr_{portal.tier}_{len(accessible)}", an_email())
        store(a_user(limited, world.now, accessible=accessible))
        caller = type(limited).from_context({**limited.to_context(), "limited": "yes"})
        seen = world.call("dashboard.get_dashboard", caller).json
        assert (seen["total_accounts"], seen["total_size_bytes"]) == (accounts, size)


def test_a_new_portal_has_nothing_to_show(world: World) -> None:
    partner = a_partner(world, a_distributor(world, an_email()), an_email())
    assert world.call("dashboard.get_dashboard", administrator(partner)).json == NOTHING
    assert world.call("dashboard.get_dashboard", administrator(partner.child("acc_1"))).status == 403
