"""Queue: PasswordExpiry

Warns the users of one portal whose passwords expire in 14, 7 or 1 days, or sooner if a warning was missed; each
warning once. Goes on in a new message when time runs short.
"""

from pydantic import BaseModel

from portal.consumer import Work, consumer
from portal.identity import password_expiry
from portal.tree import Node


class PasswordExpiryDue(BaseModel):
    portal: str
    days: int | None = None
    after: str = ""
    """Id of the user that an earlier message has come to, under passwords that are good for `days`."""


@consumer
def handler(work: Work, message: PasswordExpiryDue) -> None:
    left = password_expiry.warn(work, Node.parse(message.portal), message.days, message.after)
    if left is not None:
        days, after = left
        work.again("PasswordExpiry", PasswordExpiryDue(portal=message.portal, days=days, after=after))
