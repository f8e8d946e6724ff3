"""Run the jobs as their schedules would have by now: python -m local.jobs

Each fans out to its queue; before the next one starts, all queues are empty and what hangs on the table's
stream is done.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from local import cloud

JOBS = ("RunUsageSnapshot", "RunTrials", "RunAnnualBilling", "RunMonthlyBilling", "RunOverdue", "RunPurge")
"""In this order: a bill looks at what the snapshots have counted, and reminders at the bill."""

_QUIET_SECONDS = 1.5
"""When nothing was waiting for so long, nothing comes from the stream either: it delivers every second."""
_PATIENCE_SECONDS = 900
_NOT_OURS = ("EngineCommands",)
"""Read outside, by the engine."""


def run(*jobs: str) -> Iterator[tuple[str, int, float]]:
    """Run jobs one after the other; of each its name, the messages that it sent, and the seconds it took.

    Raises:
        Trouble: a job failed, or its messages did not come to an end.
    """
    names = _names("AWS::Lambda::Function")
    queues = [url for name, url in _names("AWS::SQS::Queue").items() if name not in _NOT_OURS]
    for job in jobs or JOBS:
        began = time.monotonic()
        sent = _invoked(names[job])["messages"]
        _wait_until_empty([url for url in queues if not _is_dead_letter(url)])
        yield job, sent, time.monotonic() - began - _QUIET_SECONDS


def dead_letters() -> dict[str, int]:
    """How many messages failed for good, by queue; queues without any are left out."""
    urls = {name: url for name, url in _names("AWS::SQS::Queue").items() if name.endswith("Dead")}
    return {name: number for name, url in urls.items() if (number := _waiting(url))}


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


def _invoked(function: str) -> dict[str, Any]:
    answer = cloud.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    payload = answer["Payload"].read()
    if "FunctionError" in answer:
        raise cloud.Trouble(f"{function} failed: {payload.decode(errors='replace')}")
    result: dict[str, Any] = json.loads(payload)
    return result


def _is_dead_letter(url: str) -> bool:
    return "Dead" in url.rpartition("/")[2]


def _wait_until_empty(urls: list[str]) -> None:
    last = began = time.monotonic()
    while time.monotonic() - last < _QUIET_SECONDS:
        if any(_waiting(url) for url in urls):
            last = time.monotonic()
        if last - began > _PATIENCE_SECONDS:
            raise cloud.Trouble(
                "Messages are still waiting after a quarter of an hour: see .local/log/cloud.log"
            )
        time.sleep(0.2)


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
            print(f"{number} messages failed for good: they are in {queue}; .local/log/cloud.log says why.")
    except cloud.Trouble as trouble:
        return str(trouble)
    return None


if __name__ == "__main__":
    sys.exit(main())
