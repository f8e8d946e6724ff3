"""Whether the service reaches what it cannot do without."""

from portal import keys
from portal.table import Item, find
from portal.tree import VENDOR


def check() -> None:
    """One consistent read of an item that is not there: it fails as every operation would."""
    find(Item, keys.node(VENDOR), "HEALTH")
