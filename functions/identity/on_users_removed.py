"""Queue: Forgotten

Deletes what users signed in with that were removed from a portal: credentials, sessions and API keys. Nothing of it
has counted since the users are gone. Federated identities are free to be linked to another user. Goes on in a new
message when time runs short.
"""

from pydantic import BaseModel

from portal.consumer import Work, consumer
from portal.identity import forgetting
from portal.tree import Node


class UsersRemoved(BaseModel, extra="ignore"):
    node: str
    user_ids: list[str]


@consumer
def handler(work: Work, message: UsersRemoved) -> None:
    home = Node.parse(message.node)
    if not all(forgetting.forget(work, home, user_id) for user_id in message.user_ids):
        work.again("Forgotten", message)
