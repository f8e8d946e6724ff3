"""What billing may cost, and that what is measured with is as exacting as the harness."""

import json
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

from tests.bench import runs
from tests.bench.lean import Item, LeanTable
from tests.bench.measured import work
from tests.books import a_payer, an_account, store
from tests.support import Harness
from tests.world import World

PAYMENT_DAY = datetime(2023, 1, 24, 2, tzinfo=UTC)
MONTHLY = '{"kind": "monthly", "distributor_id": "dst_north"}'


def test_an_account_costs_the_same_however_many_there_are_and_memory_does_not_grow() -> None:
    few, many = runs.bill_a_month(1_000), runs.bill_a_month(2_500)
    for size, cost in ((1_000, few), (2_500, many)):
        assert cost.read_units / size <= 1.5
        assert cost.write_units / size <= 0.6
        assert cost.peak_megabytes < 256
    assert many.read_units / 2_500 <= few.read_units / 1_000 * 1.02
    assert many.write_units / 2_500 <= few.write_units / 1_000 * 1.02
    assert many.peak_megabytes < few.peak_megabytes + 16


def test_the_lean_table_charges_and_holds_what_the_harness_does(
    world: World, harness: Harness, tmp_path: Path
) -> None:
    north = a_payer(date(2023, 1, 10))
    for number in range(40):
        plan = "annual" if number % 20 == 7 else "monthly"
        store(an_account(north, number, plan=plan, subscribed_on=date(2022, 6, number % 28 + 1)))
    world.now = PAYMENT_DAY
    start, before = harness.snapshot(), harness.counts.snapshot()
    world.deliver("billing.on_billing_due", json.loads(MONTHLY))
    spent, held = harness.counts.since(before), by_key(harness.items()["portal"])
    harness.restore(start)

    with closing(LeanTable(tmp_path / "table")) as lean:
        lean.fill(harness.items()["portal"])
        with lean.on():
            assert work(lean, "billing.on_billing_due", MONTHLY) == 1
        assert lean.counts["calls"] == spent.total_calls
        assert lean.counts["read_units"] == spent.total_read_units
        assert lean.counts["write_units"] == spent.total_write_units
        assert by_key(lean.items()) == held


def by_key(items: Iterable[Item]) -> dict[tuple[str, str], Item]:
    return {(item["pk"]["S"], item["sk"]["S"]): item for item in items}
