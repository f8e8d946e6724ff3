"""Schedule: weekly

Has every distributor's sums made anew from its accounts.
"""

from portal.distributors.records import list_distributors
from portal.job import Run, job
from portal.scope import EVERYTHING


@job
def handler(run: Run) -> int:
    distributors = list_distributors(EVERYTHING)
    return run.send("Rollups", ({"distributor_id": each.distributor_id} for each in distributors))
