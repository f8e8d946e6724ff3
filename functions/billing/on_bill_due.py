"""Queue: Overdue

Moves an unpaid bill on: overdue from the day after its due date, with a reminder on that date and 7, 14 and
30 days after, each sent once; on the date itself only where no card is tried then.
"""

from datetime import UTC
from functools import partial

from pydantic import AwareDatetime, BaseModel

from portal.billing.dunning import look_at
from portal.consumer import Work, consumer
from portal.table import settled
from portal.tree import Node


class BillDue(BaseModel):
    distributor_id: str
    bill_sk: str
    as_of: AwareDatetime | None = None


@consumer
def handler(work: Work, message: BillDue) -> None:
    today = min(message.as_of or work.now, work.now).astimezone(UTC).date()
    settled(partial(look_at, work, Node(message.distributor_id), message.bill_sk, today))
