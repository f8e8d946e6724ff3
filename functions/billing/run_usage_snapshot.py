"""Schedule: daily 00:20 UTC

Has the usage of each distributor's accounts snapshot for the UTC days that have ended.
"""

from portal.distributors.records import Schedule
from portal.job import Run, job


@job
def handler(run: Run) -> int:
    return run.send("Usage", ({"distributor_id": due.node.distributor} for due in run.due(Schedule, "usage")))
