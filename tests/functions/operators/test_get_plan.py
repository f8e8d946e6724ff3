from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal.tree import Node
from tests.books import a_payer, an_account, midnight, node_of, store
from tests.builders import the_account
from tests.world import OPERATOR, Answer, World, administrator


@pytest.fixture
def north(world: World) -> Node:
    north, at = a_payer(date(2023, 1, 10)), {"created_at": midnight(date(2022, 12, 1))}
    annual = an_account(north, 2, plan="annual", subscribed_on=date(2023, 1, 12), **at)
    store([*an_account(north, 1, counts=2, **at), *annual, *an_account(north, 3, plan=None, **at)])
    world.now = datetime(2023, 2, 3, 12, tzinfo=UTC)
    return north


def get(world: World, account: Node, **query: Any) -> Answer:
    path = {"account_id": account.account}
    return world.call("operators.get_plan", OPERATOR, path=path, query=query)


def test_it_says_what_a_change_would_cost_and_changes_nothing(world: World, north: Node) -> None:
    before = get(world, node_of(north)).json
    assert (before["plan"], before["upcoming_change"], before["quote"]) == ("monthly", None, None)
    quote = get(world, node_of(north), plan="annual", effective_on="2023-03-10").json["quote"]
    # The first bill of this distributor is still to come, so the period before this one is in it too.
    assert [
        (each["period_start"], each["billed_on"], each["net"]["amount"]) for each in quote["charges"]
    ] == [
        ("2022-12-24", "2023-01-24", "3.60"),
        ("2023-01-24", "2023-02-24", "3.60"),
        ("2023-02-24", "2023-03-24", "1.80"),
        ("2023-03-10", "2023-03-10", "36.00"),
    ]
    last = quote["charges"][-2]
    assert [(line["quantity"], line["days"], line["of_days"]) for line in last["lines"]] == [("2", 14, 28)]
    assert get(world, node_of(north)).json == before
    assert the_account(node_of(north)).plan_changes is None


def test_what_is_agreed_is_shown_with_its_price(world: World, north: Node) -> None:
    path, body = {"account_id": "acc_000001"}, {"plan": "annual", "effective_on": "2023-03-10"}
    done = world.call("operators.change_plan", OPERATOR, path=path, body=body).json
    assert get(world, node_of(north)).json == done
    assert done["upcoming_change"] == {"plan": "annual", "effective_on": "2023-03-10"}
    assert get(world, node_of(north), plan="monthly").json["quote"] is None


def test_a_trial_has_no_spans(world: World, north: Node) -> None:
    shown = get(world, node_of(north, 3)).json
    assert (shown["plan"], shown["spans"], shown["renewal_date"]) == (None, [], None)
    assert get(world, node_of(north, 3), plan="annual").code == "not_subscribed"


def test_bad_input_is_refused(world: World, north: Node) -> None:
    for query in ({"plan": "weekly"}, {"effective_on": "2023-03-10"}, {"plan": "annual", "on": "2023-03-10"}):
        assert get(world, node_of(north), **query).status == 400
    assert get(world, node_of(north), plan="annual", effective_on="2023-02-02").status == 400
    assert get(world, node_of(north, 2), plan="monthly", effective_on="2023-06-01").status == 400
    assert get(world, Node("dst_north", "direct", "acc_unknown")).status == 404
    path = {"account_id": "acc_000001"}
    for node in (north, node_of(north)):
        assert world.call("operators.get_plan", administrator(node), path=path).status == 403
