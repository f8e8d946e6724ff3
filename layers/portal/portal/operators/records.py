"""What waits for the vendor's own staff."""

from collections.abc import Iterator
from datetime import datetime

from pynamodb.attributes import UnicodeAttribute

from portal import keys
from portal.errors import NotFound
from portal.scope import Scope
from portal.table import InstantAttribute, Item, JsonAttribute, find, query
from portal.tree import VENDOR


class Vendor(Item, discriminator="vendor"):
    """The vendor itself: there since its first operator is, so that there is one first operator."""


class Parked(Item, discriminator="parked"):
    """A bill that a guard rail stopped, or a distributor whose books are wrong: nothing of it is charged until an
    operator releases it. Or a notice of what the payment provider has told, which stops nothing.
    """

    parked_id = UnicodeAttribute()
    distributor_id = UnicodeAttribute()
    """Empty where the numbers of all distributors' bills are concerned."""
    bill_sk = UnicodeAttribute(null=True)
    """None where the books as a whole are, or the notice is of a bank transfer for no bill."""
    reasons = JsonAttribute()
    findings = JsonAttribute(null=True)
    """What is wrong with the books: `[{"invariant", "about", "said", "key"}]`."""
    state = UnicodeAttribute()
    """`waiting` or `released`."""
    released_by = UnicodeAttribute(null=True)
    released_at = InstantAttribute(null=True)


def find_vendor(scope: Scope) -> Vendor | None:
    return find(Vendor, keys.node(scope.reach(VENDOR)), keys.NODE)


def vendor(at: datetime) -> Vendor:
    """The new record of the vendor."""
    return Vendor(keys.node(VENDOR), keys.NODE, created_at=at)


def find_parked(scope: Scope, parked_id: str) -> Parked | None:
    return find(Parked, keys.node(scope.reach(VENDOR)), keys.parked(parked_id))


def get_parked(scope: Scope, parked_id: str) -> Parked:
    found = find_parked(scope, parked_id)
    if found is None:
        raise NotFound
    return found


def list_parked(scope: Scope) -> Iterator[Parked]:
    """Everything parked, latest first, what was released included."""
    return query(Parked, keys.node(scope.reach(VENDOR)), keys.parked(), newest_first=True)
