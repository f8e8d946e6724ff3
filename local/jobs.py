"""Run the jobs as their schedules would have by now: python -m local.jobs

Each fans out to its queue; before the next one starts, all queues are empty and what hangs on the table's
stream is done.
"""

import json
import sys
import time
from collections.abc import Iterator
from functools import cache

from local import cloud

JOBS = (
    "RunUsageSnapshot", "RunTrials", "RunAnnualBilling", "RunMonthlyBilling", "RunCharges", "RunOverdue",
    "RunReconciliation", "RunPurge", "RunPasswordExpiry",
)  # fmt: skip
"""In this order: a bill looks at what the snapshots have counted, and reminders at the bill."""

_QUIET_SECONDS = 1.5
"""When nothing was waiting for so long, nothing comes from the stream either: it delivers every second."""
_PATIENCE_SECONDS = 900
_NOT_OURS = ("EngineCommands",)
"""Read outside, by the engine."""
_DEAD = "Dead"
"""How the names of dead-letter queues end."""


def run(*jobs: str) -> Iterator[tuple[str, int, float]]:
    """Run jobs one after the other; of each its name, the messages that it sent, and the seconds it took.

    Raises:
        Trouble: a job failed, or its messages did not come to an end.
    """
    for job in jobs or JOBS:
        began = time.monotonic()
        sent = start(job)
        settle()
        yield job, sent, time.monotonic() - began - _QUIET_SECONDS


def start(job: str) -> int:
    """Invoke a job's function; returns how many messages it has sent.

    Raises:
        Trouble: it failed.
    """
    answer = cloud.client("lambda").invoke(FunctionName=_names("AWS::Lambda::Function")[job], Payload=b"{}")
    payload = answer["Payload"].read()
    if "FunctionError" in answer:
        raise cloud.Trouble(f"{job} failed: {payload.decode(errors='replace')}")
    sent: int = json.loads(payload)["messages"]
    return sent


def settle() -> None:
    """Wait until all queues are empty, what comes through the table's stream included.

    Raises:
        Trouble: they do not become empty.
    """
    queues = _names("AWS::SQS::Queue").items()
    urls = [url for name, url in queues if name not in _NOT_OURS and not name.endswith(_DEAD)]
    last = began = time.monotonic()
    while time.monotonic() - last < _QUIET_SECONDS:
        if any(_waiting(url) for url in urls):
            last = time.monotonic()
        if last - began > _PATIENCE_SECONDS:
            raise cloud.Trouble(
                f"Messages are still waiting after {_PATIENCE_SECONDS} seconds: see {cloud.LOGS}/cloud.log"
            )
        time.sleep(0.2)


def dead_letters() -> dict[str, int]:
    """How many messages failed for good, by queue; queues without any are left out."""
    urls = {name: url for name, url in _names("AWS::SQS::Queue").items() if name.endswith(_DEAD)}
    return {name: number for name, url in urls.items() if (number := _waiting(url))}


@cache
def _names(kind: str) -> dict[str, str]:
    """The deployed resources of a type: physical by logical id."""
    pages = (
        cloud.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=cloud.STACK)
    )
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == kind
    }


def _waiting(url: str) -> int:
    attributes = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    answer = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=attributes)
    return sum(int(answer["Attributes"][name]) for name in attributes)


def main() -> str | None:
    try:
        cloud.deployment()
        for job, sent, seconds in run():
            print(f"{job:<18} {sent:>5} messages  {seconds:6.1f} s", flush=True)
        for queue, number in dead_letters().items():
            print(f"{number} messages failed for good: they are in {queue}; {cloud.LOGS}/cloud.log says why.")
    except cloud.Trouble as trouble:
        return str(trouble)
    return None


if __name__ == "__main__":
    sys.exit(main())
