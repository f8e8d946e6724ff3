"""Queue: Trials

Does to one account what is due by now, whichever message asks for it and however often.
"""

from pydantic import BaseModel

from portal.consumer import Work, consumer
from portal.subscriptions import actions
from portal.tree import Node


class TrialDue(BaseModel):
    account: str
    """Path of the account."""


@consumer
def handler(work: Work, message: TrialDue) -> None:
    actions.advance_trial(work, Node.parse(message.account))
