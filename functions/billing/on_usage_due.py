"""Queue: Usage

Counts one distributor's accounts for the days that have ended, as far as the engine's events have touched
them since the last time, and deletes what deleted tasks have left. Goes on in a new message when time runs
short.
"""

from pydantic import AwareDatetime, BaseModel

from portal.billing import snapshot
from portal.consumer import Work, consumer
from portal.tree import Node


class UsageDue(BaseModel):
    distributor_id: str
    as_of: AwareDatetime
    after: str = ""
    """Id of the account that an earlier message has come to."""


@consumer
def handler(work: Work, message: UsageDue) -> None:
    distributor = Node(message.distributor_id)
    reached = snapshot.settle_distributor(work, distributor, message.as_of, message.after)
    if reached is None:
        snapshot.schedule_next(work, distributor, message.as_of)
    else:
        work.again("Usage", message.model_copy(update={"after": reached}))
