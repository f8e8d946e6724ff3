"""Queue: Usage

Counts one distributor's accounts for the days that have ended, as far as the engine's events have touched
them since the last time, and deletes what deleted tasks have left. What has not ended yet is not counted, whatever
`as_of` says. Goes on in a new message when time runs short. An account that fails holds up no other, but fails
the message in the end.
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
    as_of = min(message.as_of, work.now)
    went = snapshot.settle_distributor(work, distributor, as_of, message.after)
    if went.reached is None:
        snapshot.schedule_next(work, distributor, as_of)
    else:
        work.again("Usage", message.model_copy(update={"as_of": as_of, "after": went.reached}))
    went.check()
