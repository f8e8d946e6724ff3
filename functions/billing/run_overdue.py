"""Schedule: daily at 03:00 UTC

Has every unpaid bill looked at that is due, overdue or to be reminded of.
"""

from portal.billing.records import Bill
from portal.job import Run, job


@job
def handler(run: Run) -> int:
    due = run.due(Bill, "bill")
    return run.send(
        "Overdue", ({"distributor_id": each.node.distributor, "bill_sk": each.sk} for each in due)
    )
