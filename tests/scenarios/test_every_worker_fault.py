"""Every job and worker, when any one of its calls to AWS fails: the message that comes again, or the next run of the
schedule, a minute or 25 hours later, finds done what was done and does the rest.

The bills' own workers are struck in `test_billing_faults.py`, the payments' in `test_payment_faults.py`.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.accounts import rules as account_rules
from portal.accounts.records import get_account_at
from portal.change import Change
from portal.dashboard.records import find_rollup
from portal.scope import EVERYTHING
from portal.table import Delete, Update, stage, write
from portal.tree import DIRECT, Node
from tests import books
from tests.engine_events import changed, entity, on, report
from tests.remains import neutral
from tests.support import Harness
from tests.sweeps import sweep
from tests.trees import Tree, plant
from tests.world import World

pytestmark = pytest.mark.money


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(world.now)


def delivery(world: World, worker: str, message: dict[str, Any]) -> Callable[[], str]:
    """A worker's invocation; a message that it fails on stays in the queue."""

    def act() -> str:
        with suppress(AssertionError):
            world.deliver(worker, message)
        return ""

    return act


def on_trial(tree: Tree, ends_at: datetime, **default: str | None) -> dict[str, Any]:
    account = get_account_at(EVERYTHING, tree.account)
    trial = Change(
        state="trial",
        plan=None,
        subscribed_on=None,
        subscription_default={"mode": "trial_with_expiration", "plan": None, **default},
        trial_ends_at=ends_at,
        trial_stage="expiring",
        lifecycle="trial",
        lifecycle_at=ends_at,
    )
    write([stage(Update(account, trial))])
    return {"account": str(tree.account)}


def removed(world: World, tree: Tree) -> dict[str, Any]:
    """An account that was removed and whose data the engine has purged."""
    path, body = {"account_id": tree.account.account}, {"approve_data_removal": True}
    world.call("accounts.remove_account", tree.users[tree.partner], path=path, body=body)
    account = get_account_at(EVERYTHING, tree.account)
    write([stage(Update(account, account_rules.data_purged(account, world.now)))])
    return {"account": str(tree.account)}


def wanted(world: World, queue: str) -> dict[str, Any]:
    """The one message that the outbox has for a queue."""
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages(queue)
    return message


# Workers


def trial_ends_subscribed(world: World, tree: Tree) -> Callable[[], str]:
    message = on_trial(tree, world.now, mode="trial_with_auto_subscription", plan="annual")
    return delivery(world, "subscriptions.on_trial_due", message)


def trial_expires(world: World, tree: Tree) -> Callable[[], str]:
    return delivery(world, "subscriptions.on_trial_due", on_trial(tree, world.now))


def expired_trial_is_warned(world: World, tree: Tree) -> Callable[[], str]:
    return delivery(world, "subscriptions.on_trial_due", on_trial(tree, world.now - timedelta(days=26)))


def account_is_purged(world: World, tree: Tree) -> Callable[[], str]:
    return delivery(world, "accounts.on_purge", removed(world, tree))


def usage_is_counted(world: World, tree: Tree) -> Callable[[], str]:
    report(world, changed(tree.account, tree.task_id, on(6), entity("m1"), entity("m2")))
    world.now = datetime(2023, 1, 12, 0, 20, tzinfo=UTC)
    message = {"distributor_id": tree.distributor.distributor, "as_of": world.now.isoformat()}
    return delivery(world, "billing.on_usage_due", message)


def bill_is_overdue(world: World, tree: Tree) -> Callable[[], str]:
    world.advance(days=40)
    (bill,) = books.bills(tree.distributor)
    return delivery(
        world,
        "billing.on_bill_due",
        {"distributor_id": tree.distributor.distributor, "bill_sk": bill.sk},
    )


def bill_is_rendered(world: World, tree: Tree) -> Callable[[], str]:
    (bill,) = books.bills(tree.distributor)
    message = {"distributor_id": tree.distributor.distributor, "bill_sk": bill.sk}
    return delivery(world, "billing.on_document_wanted", message)


def report_is_written(world: World, tree: Tree) -> Callable[[], str]:
    world.call("reports.request_usage_report", tree.users[tree.partner], body={"filters": {}})
    return delivery(world, "reports.on_report_wanted", wanted(world, "Reports"))


def audit_export_is_written(world: World, tree: Tree) -> Callable[[], str]:
    world.call("audit.request_audit_export", tree.users[tree.partner], body={})
    return delivery(world, "audit.on_audit_export_wanted", wanted(world, "AuditExports"))


def sums_are_made_anew(world: World, tree: Tree) -> Callable[[], str]:
    world.stream("dashboard.keep_rollups")
    for node in (tree.partner, tree.distributor.child(DIRECT)):
        rollup = find_rollup(EVERYTHING, node)
        assert rollup is not None
        write([Delete(rollup)])
    return delivery(world, "dashboard.on_rollup_rebuild", {"distributor_id": tree.distributor.distributor})


def users_are_forgotten(world: World, tree: Tree) -> Callable[[], str]:
    node = Node(tree.distributor.distributor)
    return delivery(
        world, "identity.on_users_removed", {"node": str(node), "user_ids": ["usr_admin", "usr_gone"]}
    )


# The stream's


def outbox_is_delivered(world: World, tree: Tree) -> Callable[[], str]:
    world.stream("dashboard.keep_rollups")
    world.call("reports.request_usage_report", tree.users[tree.partner], body={"filters": {}})
    return streaming(world, "notifications.deliver_outbox")


def sums_are_kept(world: World, tree: Tree) -> Callable[[], str]:
    return streaming(world, "dashboard.keep_rollups")


def streaming(world: World, consumer: str) -> Callable[[], str]:
    """A batch of the stream, which comes again until it was taken."""
    records = world._stream_records()

    def act() -> str:
        with suppress(Exception):
            world.invoke(consumer, {"Records": records})
        return ""

    return act


# Schedules


def running(job: str) -> Callable[[World, Tree], Callable[[], str]]:
    """A job on a day on which everything is due."""

    def case(world: World, tree: Tree) -> Callable[[], str]:
        on_trial(tree, world.now)
        world.advance(days=50)

        def act() -> str:
            try:
                return neutral(str(world.run(job)))
            except Exception:
                return "failed"

        return act

    return case


CASES: dict[str, Callable[[World, Tree], Callable[[], str]]] = {
    each.__name__: each
    for each in (
        trial_ends_subscribed,
        trial_expires,
        expired_trial_is_warned,
        account_is_purged,
        usage_is_counted,
        bill_is_overdue,
        bill_is_rendered,
        report_is_written,
        audit_export_is_written,
        sums_are_made_anew,
        users_are_forgotten,
        outbox_is_delivered,
        sums_are_kept,
    )
} | {
    job: running(job)
    for job in (
        "accounts.run_purge",
        "billing.run_annual_billing",
        "billing.run_monthly_billing",
        "billing.run_overdue",
        "billing.run_usage_snapshot",
        "dashboard.run_rollup_rebuild",
        "identity.run_password_expiry",
        "subscriptions.run_trials",
    )
}


@pytest.mark.parametrize("case", CASES)
def test_workers(
    world: World, harness: Harness, tree: Tree, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A job asks the index for one month after the other; one is as good as fifteen.
    monkeypatch.setattr("portal.job._MONTHS_LOOKED_BACK", 1)
    runs = sweep(harness, world, CASES[case](world, tree))
    print(case, runs)
    assert runs >= 6
