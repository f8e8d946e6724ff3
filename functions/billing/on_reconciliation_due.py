"""Queue: Reconciliation

Compares what is stored of a distributor's money, and what the payment provider says, with what must be true of it.
Where something is wrong, nothing more is issued, charged or reminded of until an operator has looked at it, and those
who see to bills at the vendor are told. With an empty distributor id: the numbers of all bills.
"""

from portal.billing.reconciliation.run import ReconciliationDue, reconcile
from portal.consumer import Work, consumer


@consumer
def handler(work: Work, message: ReconciliationDue) -> None:
    rest = reconcile(work, message)
    if rest is not None:
        work.again("Reconciliation", rest)
