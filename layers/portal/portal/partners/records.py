"""Partners: the resellers under a distributor."""

from collections.abc import Iterator

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from portal import keys
from portal.errors import NotFound
from portal.scope import Scope
from portal.table import Item, JsonAttribute, find, query_index
from portal.tree import Node, Tier


class Partner(Item, discriminator="partner"):
    partner_id = UnicodeAttribute()
    partner_code = UnicodeAttribute()
    """The visible Partner ID: the distributor's own code, by default the generated id."""
    name = UnicodeAttribute()
    email = UnicodeAttribute()
    country = UnicodeAttribute()
    contact_person = UnicodeAttribute(null=True)
    data_center = UnicodeAttribute(null=True)
    account_count = NumberAttribute(default=0)
    """Accounts not purged yet; counted in the transactions that create and purge them."""
    default_subscription = JsonAttribute(null=True)
    """Overrides the distributor's; see `portal.subscriptions.rules.DefaultSubscription`."""

    def parent_key(self) -> tuple[str, str]:
        return keys.by_parent(self.node.parent, "PARTNER", self.partner_id)


def get_partner(scope: Scope, partner_id: str) -> Partner:
    """A partner of the scope's distributor, or the scope's own partner.

    Raises:
        NotFound: there is none, or it is not among the accessible ones.
    """
    node = scope.reach(scope.top if scope.top.partner == partner_id else scope.partner(partner_id))
    return get_partner_at(scope, node)


def get_partner_at(scope: Scope, node: Node) -> Partner:
    """The partner at a node."""
    if node.tier is not Tier.PARTNER or node.is_direct:
        raise NotFound
    found = find(Partner, keys.node(scope.reach(node)), keys.NODE)
    if found is None:
        raise NotFound
    return found


def list_partners(scope: Scope, distributor: Node) -> Iterator[Partner]:
    """A distributor's partners that the scope covers, in no particular order."""
    pk, prefix = keys.by_parent(scope.reach(distributor), "PARTNER")
    return (partner for partner in query_index(Partner, "by_parent", pk, prefix) if scope.covers(partner.node))
