"""Snapshots where the nightly job's own tests do not look: prices with weights, trimming, the last one of
all."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal import keys
from portal.accounts.records import Account
from portal.billing import facts, snapshot
from portal.billing.records import PriceBookRecord, Usage, find_usage
from portal.billing.usage import Fact, counts_on
from portal.billing.weighing import Weighing
from portal.distributors.records import get_schedule
from portal.periods import Period
from portal.scope import EVERYTHING
from portal.table import find
from portal.tree import Node
from tests.engine_events import NOON, changed, entity, on, outcomes, report
from tests.trees import Tree, plant, store
from tests.world import World

MAIL = "microsoft_365_exchange"
UNTIL = date(2023, 1, 11)


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(NOON)


def usage_of(node: Node) -> Usage:
    found = find_usage(EVERYTHING, node)
    assert found is not None
    return found


def counts(node: Node, first: date, end: date) -> list[Any]:
    return counts_on(facts.load(usage_of(node).facts).get(MAIL, []), Period(first, end))


def prices(distributor: Node, effective_on: date, **weights: str) -> PriceBookRecord:
    price = {"monthly": "3.00", "annual": "30.00", "weights": weights}
    terms = {"currency": "USD", "services": {MAIL: price}}
    return PriceBookRecord(
        keys.node(distributor), keys.prices(effective_on), effective_on=effective_on, prices=terms
    )


def test_statuses_weigh_what_the_price_book_says(world: World, tree: Tree) -> None:
    store(prices(tree.distributor, date(2023, 1, 1), archived="0.5", inactive="0.25"))
    report(
        world,
        changed(tree.account, tree.task_id, on(8), entity("m1"), entity("m2", status="archived")),
        changed(tree.account, tree.task_id, on(9), entity("m1", status="inactive")),
    )
    snapshot.settle_usage(tree.account, UNTIL, world.now)
    assert [str(count) for count in counts(tree.account, date(2023, 1, 7), UNTIL)] == [
        "0",
        "1.5",
        "0.75",
        "0.75",
    ]


def test_new_weights_count_the_days_anew_that_they_are_in_effect_for(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(8), entity(status="archived")))
    snapshot.settle_usage(tree.account, UNTIL, world.now)
    store(prices(tree.distributor, date(2023, 2, 1), archived="0.5"))
    world.now = datetime(2023, 2, 3, tzinfo=UTC)
    snapshot.settle_usage(tree.account, date(2023, 2, 3), world.now)
    days = counts(tree.account, date(2023, 1, 30), date(2023, 2, 3))
    assert [str(count) for count in days] == ["1", "1", "0.5", "0.5"]
    version = usage_of(tree.account).version
    snapshot.settle_usage(tree.account, date(2023, 2, 3), world.now)
    assert usage_of(tree.account).version == version


def test_a_snapshot_that_another_overtook_does_not_bring_back_what_it_read(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(8), entity("m1")))
    asked = 0

    class Slow(Weighing):
        """Once it has counted, one more event comes in and a faster snapshot counts that too."""

        def spans(self, days: Period) -> Iterator[Any]:
            nonlocal asked
            asked += 1
            counting = asked == 2
            yield from Weighing.spans(self, days)
            if counting:
                report(world, changed(tree.account, tree.task_id, on(9), entity("m2")))
                snapshot.settle_usage(tree.account, UNTIL, world.now)

    snapshot.settle_usage(tree.account, UNTIL, world.now, Slow((), 1))
    assert asked > 2
    assert counts(tree.account, date(2023, 1, 7), UNTIL) == [0, 1, 2, 2]


def test_usage_is_settled_or_it_is_not(world: World, tree: Tree) -> None:
    weighing = snapshot.load_weighing(EVERYTHING, tree.distributor)

    def is_settled(until_on: date) -> bool:
        return snapshot.is_settled(usage_of(tree.account), until_on, world.now, weighing)

    assert is_settled(UNTIL)
    report(world, changed(tree.account, tree.task_id, on(9)))
    assert is_settled(date(2023, 1, 9))
    assert not is_settled(date(2023, 1, 10))
    settled = snapshot.settle_usage(tree.account, UNTIL, world.now, weighing)
    assert settled is not None
    assert settled.facts == usage_of(tree.account).facts
    assert is_settled(UNTIL)


def test_an_account_without_usage_has_nothing_to_settle(world: World, tree: Tree) -> None:
    assert snapshot.settle_usage(tree.partner.child("acc_gone"), UNTIL, world.now) is None


def test_closed_usage_stays_as_it_is_though_the_entities_are_deleted(world: World, tree: Tree) -> None:
    report(world, changed(tree.account, tree.task_id, on(8)))
    account = find(Account, keys.node(tree.account), keys.NODE)
    assert account is not None
    account.state, account.removed_at = "removal_pending", world.now
    account.save()
    snapshot.close_usage(tree.account, UNTIL, world.now)
    for record in snapshot.list_entities_ever(EVERYTHING, tree.account):
        record.delete()
    assert outcomes(world, changed(tree.account, tree.task_id, on(7))) == ["account_removed"]
    store(prices(tree.distributor, date(2023, 1, 1), active="7"))
    world.advance(days=20)
    snapshot.settle_usage(tree.account, date(2023, 1, 30), world.now)
    assert counts(tree.account, date(2023, 1, 7), date(2023, 1, 30)) == [0] + [1] * 22
    assert usage_of(tree.account).distributor_pk is None


def test_old_facts_go_when_there_are_many_but_none_that_a_bill_or_a_forecast_may_need(
    world: World, tree: Tree
) -> None:
    usage = usage_of(tree.account)
    first = date(2021, 1, 1)
    old = [Fact(first + timedelta(days=number), number % 5, number) for number in range(740)]
    usage.facts, usage.entities_from_on = facts.dump({MAIL: old}), first
    usage.save()
    before = counts(tree.account, date(2022, 9, 2), UNTIL)
    report(world, changed(tree.account, tree.task_id, on(10)))
    snapshot.settle_usage(tree.account, UNTIL, world.now)
    kept = facts.load(usage_of(tree.account).facts)[MAIL]
    assert min(fact.day for fact in kept) == NOON.date() - timedelta(days=130)
    assert counts(tree.account, date(2022, 9, 2), UNTIL)[:-1] == before[:-1]

    schedule = get_schedule(EVERYTHING, tree.distributor, "monthly")
    schedule.due_at = datetime(2022, 6, 1, tzinfo=UTC)
    schedule.index()
    schedule.save()
    usage = usage_of(tree.account)
    usage.facts = facts.dump({MAIL: old})
    usage.save()
    report(world, changed(tree.account, tree.task_id, on(9)))
    snapshot.settle_usage(tree.account, UNTIL, world.now)
    kept = facts.load(usage_of(tree.account).facts)[MAIL]
    assert min(fact.day for fact in kept) == date(2022, 5, 1)


def test_superseded_facts_go_when_there_are_far_too_many(world: World, tree: Tree) -> None:
    usage = usage_of(tree.account)
    days = [date(2022, 12, 1) + timedelta(days=number) for number in range(30)]
    often = [Fact(day, stamp, stamp) for stamp in range(100) for day in days]
    usage.facts, usage.entities_from_on = facts.dump({MAIL: often}), days[0]
    usage.save()
    before = counts(tree.account, days[0], days[-1])
    report(world, changed(tree.account, tree.task_id, on(10)))
    snapshot.settle_usage(tree.account, UNTIL, world.now)
    assert len(usage_of(tree.account).facts[MAIL]) <= len(days) + 2
    assert counts(tree.account, days[0], days[-1]) == before
