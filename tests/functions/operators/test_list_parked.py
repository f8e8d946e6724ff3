from datetime import UTC, date, datetime

from tests.books import a_payer, an_account, run_month, store
from tests.world import OPERATOR, World, administrator


def test_what_waits_and_what_was_released(world: World) -> None:
    for name in ("north", "south"):
        store(an_account(a_payer(date(2023, 1, 10), name)))
    world.now = datetime(2023, 4, 4, 2, tzinfo=UTC)
    run_month(world)

    waiting = world.call("operators.list_parked", OPERATOR).json
    assert waiting["total"] == 2
    assert {row["distributor_id"] for row in waiting["items"]} == {"dst_north", "dst_south"}
    row = waiting["items"][0]
    assert row | {"parked_id": "", "distributor_id": ""} == {
        "parked_id": "",
        "distributor_id": "",
        "state": "waiting",
        "reasons": ["too_many_periods"],
        "parked_at": "2023-04-04T02:00:00Z",
        "released_at": None,
        "released_by": None,
        "findings": [],
        "kind": "monthly",
        "account_id": None,
        "period_start": "2022-12-24",
        "period_end": "2023-01-24",
        "amount": {"amount": "2.11", "minor": 211, "currency": "USD"},
        "bill_state": "parked",
        "reference": None,
    }

    world.call("operators.release_parked", OPERATOR, path={"parked_id": row["parked_id"]})

    assert world.call("operators.list_parked", OPERATOR).json["total"] == 1
    [released] = world.call("operators.list_parked", OPERATOR, query={"state": "released"}).json["items"]
    assert (released["parked_id"], released["released_by"]) == (row["parked_id"], OPERATOR.email)


def test_only_for_operators(world: World) -> None:
    north = a_payer(date(2023, 1, 10))

    assert world.call("operators.list_parked", administrator(north)).status == 403
