"""Queue: Purge

Deletes what is left of a removed account: after the engine's confirmation its items, files and users, after
its last bill the rest. An engine that does not confirm is told again every day.
"""

from pydantic import BaseModel

from portal.accounts import purge
from portal.consumer import Work, consumer
from portal.tree import Node


class PurgeDue(BaseModel):
    account: str
    """Path of the account."""


@consumer
def handler(work: Work, message: PurgeDue) -> None:
    if not purge.advance(work, Node.parse(message.account)):
        work.again("Purge", message)
