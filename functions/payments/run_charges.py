"""Schedule: every 15 minutes

Has every bill looked at whose card is to be charged, again perhaps, or of which it is not known yet whether it was, and
every payment page whose time is over or on which money is still to arrive, should the provider have told nobody of it.
"""

from portal.job import Run, job
from portal.payments.records import Charge, PaymentPage


@job
def handler(run: Run) -> int:
    kinds = (("page", run.due(PaymentPage, "charge")), ("bill", run.due(Charge, "charge")))
    return run.send(
        "Payments",
        (
            {"kind": kind, "distributor_id": each.node.distributor, "bill_sk": each.bill_sk}
            for kind, due in kinds
            for each in due
        ),
    )
