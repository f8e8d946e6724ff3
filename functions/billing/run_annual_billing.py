"""Schedule: daily at 02:10 UTC

Has every annual account invoiced whose term has begun.
"""

from portal.accounts.records import Renewal
from portal.job import Run, job


@job
def handler(run: Run) -> int:
    return run.send(
        "Billing", ({"kind": "annual", "account": str(each.node)} for each in run.due(Renewal, "annual"))
    )
