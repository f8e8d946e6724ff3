"""Schedule: daily at 02:00 UTC

Has every distributor billed whose period has ended: on its payment day, or later where a run was missed or
broken off.
"""

from portal.distributors.records import Schedule
from portal.job import Run, job


@job
def handler(run: Run) -> int:
    due = run.due(Schedule, "monthly")
    return run.send("Billing", ({"kind": "monthly", "distributor_id": each.node.distributor} for each in due))
