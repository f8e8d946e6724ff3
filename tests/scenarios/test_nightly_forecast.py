"""The forecast of a large distributor: made by night, shown whole, of what the user may access."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from local.stage import sqs_record
from portal import keys
from portal.access import access_parts
from portal.distributors.records import schedule
from portal.forecasts import nightly
from portal.permissions import HELD_ON
from portal.scope import EVERYTHING, Caller
from portal.table import list_sort_keys
from portal.tree import Node, Tier
from tests.books import DROPBOX, a_payer, an_account, node_of, store
from tests.support import Harness
from tests.world import Context, World, administrator

NIGHT = datetime(2023, 1, 11, 0, 20, tzinfo=UTC)
WORKER = "billing.on_usage_due"


@pytest.fixture
def north(world: World, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A distributor with five accounts, which is large here; one of them uses what has no price."""
    monkeypatch.setattr(nightly, "MOST_AT_ONCE", 3)
    monkeypatch.setattr(nightly, "_ACCOUNTS_IN_A_PART", 2)
    distributor = a_payer(date(2022, 12, 24))
    store([schedule(distributor, "usage", NIGHT.replace(minute=0))])
    for number in range(4):
        store(an_account(distributor, number, counts=number + 1))
    store(an_account(distributor, 4, counts={DROPBOX: [(date(2023, 1, 1), 1)]}))
    world.now = NIGHT
    return distributor


def night(world: World) -> int:
    """The nightly job and its workers; returns how many messages they took."""
    world.run("billing.run_usage_snapshot")
    return world.work(WORKER, "Usage")


def shown(world: World, distributor: Node, as_: Caller | None = None) -> dict[str, Any]:
    answer = world.call("billing.get_forecast", as_ or administrator(distributor))
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def parts(distributor: Node) -> list[str]:
    return list(list_sort_keys(keys.forecast_parts(distributor)))


def test_by_day_last_nights_forecast_is_shown_as_it_was_then(world: World, north: Node) -> None:
    live = shown(world, north)
    assert live["as_of"] == "2023-01-11T00:20:00Z"

    assert night(world) == 2
    world.advance(hours=10)
    store(an_account(north, 9, counts=1000))

    assert shown(world, north) == live
    assert live["net"]["minor"] == (1 + 2 + 3 + 4) * 180
    assert [line["account_name"] for line in live["lines"]] == [f"Customer {number}" for number in range(4)]
    assert live["accounts_without_price"] == ["acc_000004"]


def test_the_next_night_makes_another_and_deletes_the_first(world: World, north: Node) -> None:
    night(world)
    store(an_account(north, 9, counts=10))
    world.advance(days=1)

    night(world)

    found = shown(world, north)
    assert (found["as_of"], found["net"]["minor"]) == ("2023-01-12T00:20:00Z", (10 + 10) * 180)
    assert parts(north) == [keys.forecast_part(date(2023, 1, 12), number) for number in (1, 2, 3)]


def test_a_user_is_shown_what_the_accounts_come_to_that_it_may_access(world: World, north: Node) -> None:
    night(world)
    accessible = ["acc_000001", "acc_000002", "acc_000003", "acc_000009"]
    store(an_account(north, 9, counts=1000))
    store(access_parts(north, "usr_limited", accessible))
    limited = Caller(
        kind="user",
        user_id="usr_limited",
        home=north,
        portal=north,
        permissions=HELD_ON[Tier.DISTRIBUTOR],
        limited=True,
    )

    found = shown(world, north, limited)

    assert (found["as_of"], found["net"]["minor"]) == ("2023-01-11T00:20:00Z", (2 + 3 + 4) * 180)
    assert (found["accounts_without_price"], len(found["lines"])) == ([], 3)


def test_it_holds_nothing_of_an_account_but_its_id_and_amounts(world: World, north: Node) -> None:
    night(world)
    stored = [
        account
        for part in nightly.records.list_parts(EVERYTHING, north, NIGHT.date())
        for account in part.accounts
    ]
    assert [account["account_id"] for account in stored] == [f"acc_{number:06d}" for number in range(5)]
    assert "Customer" not in str(stored) and "@" not in str(stored)


def test_a_distributor_that_is_not_large_any_more_has_none(
    world: World, north: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(world)
    monkeypatch.setattr(nightly, "MOST_AT_ONCE", 100)
    world.advance(days=1)

    night(world)

    assert parts(north) == []
    assert nightly.records.find_forecast(EVERYTHING, north) is None
    assert night(world) == 0
    assert shown(world, north)["as_of"] == "2023-01-12T00:20:00Z"


def test_in_pieces_nobody_sees_half_of_it(world: World, north: Node) -> None:
    night(world)
    first = shown(world, north)
    store(an_account(north, 9, counts=10))
    world.advance(days=1)
    world.context = Context(milliseconds=0)
    world.run("billing.run_usage_snapshot")

    seen, taken = [first], 0
    while messages := world.messages("Usage"):
        for message in messages:
            world.deliver(WORKER, message)
            taken += 1
        seen.append(shown(world, north))

    assert taken > 3
    assert {each["net"]["minor"] for each in seen} == {10 * 180, 20 * 180}
    assert seen[-1]["net"]["minor"] == 20 * 180


def test_copies_at_once_and_an_earlier_run_repeated_make_one(
    world: World, north: Node, harness: Harness
) -> None:
    message = {"kind": "forecast", "distributor_id": north.distributor, "as_of": NIGHT.isoformat()}
    harness.run_at_once(6, lambda: world.deliver(WORKER, message))
    assert len(parts(north)) == 3
    made = shown(world, north)
    assert made["net"]["minor"] == 10 * 180

    world.advance(days=1)
    night(world)
    latest = shown(world, north)
    world.deliver(WORKER, message)

    assert shown(world, north) == latest
    assert latest["as_of"] == "2023-01-12T00:20:00Z"


@pytest.mark.money
def test_it_can_die_anywhere(world: World, north: Node, harness: Harness) -> None:
    night(world)
    world.advance(days=1)
    message = {
        "kind": "forecast",
        "distributor_id": north.distributor,
        "as_of": (NIGHT + timedelta(days=1)).isoformat(),
    }
    before = shown(world, north)

    record = sqs_record(json.dumps(message))
    for _ in harness.sweep(
        lambda: world.invoke(WORKER, {"Records": [record]}), match=lambda call: bool(call.writes)
    ):
        assert shown(world, north)["net"] == before["net"]
        world.deliver(WORKER, message)
        assert shown(world, north)["as_of"] == "2023-01-12T00:20:00Z"
        assert len(parts(north)) == 3


def test_an_account_that_is_gone_has_no_name(world: World, north: Node) -> None:
    night(world)
    gone = node_of(north, 1)
    for sk in list(list_sort_keys(keys.node(gone))):
        nightly.erase(keys.node(gone), [sk])

    lines = shown(world, north)["lines"]

    assert [line["account_name"] for line in lines] == ["Customer 0", "", "Customer 2", "Customer 3"]
