"""Which mails were sent."""

from pynamodb.attributes import UnicodeAttribute

from portal import keys
from portal.scope import Scope
from portal.table import Item, find
from portal.tree import Node


class Mailed(Item, discriminator="mailed"):
    """That one mail goes to one recipient. `state` is `sending`, then `sent`.

    It is written before SES is asked. One that stays `sending` means that nobody knows whether the mail went
    out.
    """

    state = UnicodeAttribute()
    template = UnicodeAttribute()
    ses_id = UnicodeAttribute(null=True)


def find_mailed(scope: Scope, node: Node, mail_hash: str) -> Mailed | None:
    return find(Mailed, keys.node(scope.reach(node)), keys.mailed(mail_hash))
