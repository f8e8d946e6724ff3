"""The runs that are measured. Each works in a process of its own and is checked before its cost is believed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tests.conftest  # noqa: F401  (what the deployment would say stands in the environment)
from portal import keys
from portal.billing.records import Bill, BillPart
from tests.bench.distributors import NORTH, PAYMENT_DATE, fill, month_of
from tests.bench.lean import LeanTable

_ROOT = Path(__file__).parents[2]
_BILL = keys.bill(PAYMENT_DATE, "monthly", "invoice")
_NIGHT = datetime.combine(PAYMENT_DATE, time(2), UTC)


@dataclass(frozen=True)
class Cost:
    """Of a whole run; the memory is all that the worker's process held at its peak, Python itself included."""

    read_units: float
    write_units: float
    calls: int
    invocations: int
    peak_megabytes: float
    processor_seconds: float
    files: dict[str, int]
    """Bytes of each file that was written, by its suffix."""
    pages: int


def bill_a_month(size: int) -> Cost:
    """Bill a distributor with so many accounts.

    Raises:
        AssertionError: what came out is not the one bill that it should be.
    """
    with _a_table() as file:
        return _billed(file, size)


def render_a_bill(size: int) -> Cost:
    """Render the documents of a bill with so many accounts."""
    message = {"distributor_id": NORTH.distributor, "bill_sk": _BILL}
    with _a_table() as file:
        _billed(file, size)
        return _measured(file, "billing.on_document_wanted", message)


def forecast_a_bill(size: int) -> Cost:
    """Make the forecast of the distributor's next bill by night."""
    message = {"kind": "forecast", "distributor_id": NORTH.distributor, "as_of": _NIGHT.isoformat()}
    with _a_table() as file:
        with closing(LeanTable(file)) as table:
            fill(table, size)
        return _measured(file, "billing.on_usage_due", message)


def _billed(file: Path, size: int) -> Cost:
    with closing(LeanTable(file)) as table:
        fill(table, size)
    message = {"kind": "monthly", "distributor_id": NORTH.distributor}
    cost = _measured(file, "billing.on_billing_due", message)
    with closing(LeanTable(file)) as table:
        _check(table, size)
    return cost


def _check(table: LeanTable, size: int) -> None:
    """One bill is issued, has every account once, and comes to what its accounts should."""
    bills, outcomes, net = list[Bill](), dict[str, str](), 0
    for item in table.items():
        kind = item["kind"]["S"]
        if kind == "bill":
            bills.append(Bill.from_raw_data(dict(item)))
        if kind == "bill-part":
            part = BillPart.from_raw_data(dict(item))
            for entry in part.roster:
                assert entry["account_id"] not in outcomes
                outcomes[entry["account_id"]] = entry["outcome"]
            net += sum(line["amount"] for line in part.lines)
    [bill] = bills
    expected = [month_of(number) for number in range(size)]
    assert (bill.sk, bill.state) == (
        _BILL,
        "issued" if size else "nothing_to_bill",
    )
    assert (net, bill.net_minor) == (sum(expected), sum(expected))
    assert outcomes == {
        f"acc_{number:06d}": "billed" if amount else "excluded" for number, amount in enumerate(expected)
    }


@contextmanager
def _a_table() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder) / "table"


def _measured(file: Path, function: str, message: dict[str, Any]) -> Cost:
    command = [
        sys.executable,
        "-m",
        "tests.bench.measured",
        file,
        function,
        json.dumps(message),
        _NIGHT.isoformat(),
    ]
    path = ":".join(str(_ROOT / folder) for folder in ("functions", "layers/portal", "."))
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))
