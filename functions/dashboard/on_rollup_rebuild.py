"""Queue: Rollups

Makes the sums of one distributor's partners anew, partner by partner, and goes on in a new message before its
time is up.
"""

from pydantic import BaseModel

from portal import keys
from portal.consumer import Work, consumer
from portal.dashboard import actions
from portal.tree import Node


class RebuildWanted(BaseModel):
    distributor_id: str
    after: str = ""
    """The partner's partition behind which to go on."""


@consumer
def handler(work: Work, message: RebuildWanted) -> None:
    for partner, census in actions.take_census(Node(message.distributor_id)).items():
        if keys.node(partner) <= message.after:
            continue
        if work.time_is_short:
            work.again("Rollups", message)
            return
        actions.rebuild(work, partner, census)
        message.after = keys.node(partner)
