"""Works in a process of its own, on a table in a file, and prints as JSON what that took.

    python -m tests.bench.measured <file> <function> <message> <instant>

The function is a worker such as `billing.on_billing_due`. It gets the message, and whatever messages it sends itself until
there are none. A Lambda has so much time as its timeout in the template; here each call to AWS counts as 50 ms of it, with
the computing in between, so that what is counted is the same on every machine.
"""

import importlib
import json
import re
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from local.stage import Context, sqs_record
from portal import clock
from tests.bench.lean import LeanTable

CALL_MILLISECONDS = 50
_PAGE = re.compile(rb"/Type /Page\b")
TIMEOUTS = {
    "billing.on_billing_due": 180_000,
    "billing.on_usage_due": 900_000,
    "billing.on_document_wanted": 180_000,
}


class CountedTime(Context):
    """What the Lambda runtime hands over, with a clock that calls move."""

    def __init__(self, table: LeanTable, milliseconds: int) -> None:
        super().__init__(milliseconds)
        self._table, self._begun = table, table.counts["calls"]

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds - CALL_MILLISECONDS * (self._table.counts["calls"] - self._begun)


def work(table: LeanTable, function: str, message: str) -> int:
    """Let the worker take the message and all that it sends to its own queue; how many invocations that took."""
    invocations, left = 0, [message]
    while left:
        body = left.pop(0)
        context = CountedTime(table, TIMEOUTS[function])
        answer = importlib.import_module(function).handler({"Records": [sqs_record(body)]}, context)
        if answer != {"batchItemFailures": []}:
            raise RuntimeError(f"{function} failed on {body}: {answer}")
        invocations += 1
        left += [text for sent in table.queues.values() for text in sent]
        table.queues.clear()
    return invocations


def peak_megabytes() -> float:
    """The most memory that this process has held so far, of all kinds."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main(file: str, function: str, message: str, instant: str) -> dict[str, Any]:
    table, begun = LeanTable(Path(file)), time.process_time()
    with table.on(), clock.override(lambda: datetime.fromisoformat(instant)):
        invocations = work(table, function, message)
    counted = {name: table.counts[name] for name in ("read_units", "write_units", "calls")}
    return {
        **counted,
        "invocations": invocations,
        "peak_megabytes": peak_megabytes(),
        "processor_seconds": time.process_time() - begun,
        "files": {key.rpartition(".")[2]: len(data) for key, data in table.files.items()},
        "pages": sum(len(_PAGE.findall(data)) for data in table.files.values()),
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
