"""Queue: Usage

Counts one distributor's accounts for the days that have ended, as far as the engine's events have touched
them since the last time, and deletes what deleted tasks have left. What has not ended yet is not counted, whatever
`as_of` says. Then the next bill of a distributor with many accounts is forecast, for whoever asks during the day.
Goes on in a new message when time runs short. An account that fails holds up no other, but fails the message in the
end.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, RootModel

from portal.billing import snapshot
from portal.consumer import Work, consumer
from portal.forecasts import nightly
from portal.tree import Node


class UsageDue(BaseModel):
    kind: Literal["usage"] = "usage"
    distributor_id: str
    as_of: AwareDatetime
    after: str = ""
    """Id of the account that an earlier message has come to."""


class ForecastDue(BaseModel):
    kind: Literal["forecast"]
    distributor_id: str
    as_of: AwareDatetime


class Due(RootModel[Annotated[ForecastDue | UsageDue, Field(union_mode="left_to_right")]]):
    pass


@consumer
def handler(work: Work, message: Due) -> None:
    due, distributor = message.root, Node(message.root.distributor_id)
    as_of = min(due.as_of, work.now)
    if isinstance(due, ForecastDue):
        if not nightly.make(work, distributor, as_of):
            work.again("Usage", due)
        return
    went = snapshot.settle_distributor(work, distributor, as_of, due.after)
    if went.reached is not None:
        work.again("Usage", due.model_copy(update={"as_of": as_of, "after": went.reached}))
    else:
        snapshot.schedule_next(work, distributor, as_of)
        if nightly.is_wanted(distributor):
            work.again(
                "Usage", ForecastDue(kind="forecast", distributor_id=distributor.distributor, as_of=as_of)
            )
    went.check()
