"""Partners: the resellers under a distributor."""

from collections.abc import Iterable, Iterator

from pynamodb.attributes import NumberAttribute, UnicodeAttribute

from portal import keys
from portal.errors import NotFound
from portal.scope import Scope
from portal.table import Item, JsonAttribute, find, find_many, query, query_index
from portal.tenants.records import Tenant
from portal.tree import DIRECT, Node, Tier

GENERATED = "prt_"
"""How generated ids begin, and distributors' own codes never do."""


class Partner(Tenant, discriminator="partner"):
    partner_id = UnicodeAttribute()
    partner_code = UnicodeAttribute()
    """The visible Partner ID: the distributor's own code, by default the generated id."""
    country = UnicodeAttribute()
    contact_person = UnicodeAttribute(null=True)
    data_center = UnicodeAttribute(null=True)
    account_count = NumberAttribute(default=0)
    """Accounts not purged yet; counted in the transactions that create and purge them."""
    default_subscription = JsonAttribute(null=True)
    """Overrides the distributor's; see `portal.subscriptions.rules.DefaultSubscription`."""

    def parent_key(self) -> tuple[str, str]:
        return keys.by_parent(self.node.parent, "PARTNER", self.partner_id)


class PartnerCode(Item, discriminator="partner-code"):
    """In the distributor's partition: which partner has a visible Partner ID. It makes them unique."""

    partner_id = UnicodeAttribute()


def partner_code(partner: Partner, code: str) -> PartnerCode:
    """The new record that keeps a visible Partner ID for a partner; upper and lower case are the same."""
    pk, sk = _code_key(partner, code)
    return PartnerCode(pk, sk, partner_id=partner.partner_id)


def find_partner_code(partner: Partner) -> PartnerCode | None:
    """The record that keeps the partner's present code."""
    return find(PartnerCode, *_code_key(partner, partner.partner_code))


def _code_key(partner: Partner, code: str) -> tuple[str, str]:
    return keys.node(partner.node.parent), keys.partner_code(code.casefold())


def get_partner(scope: Scope, partner_id: str) -> Partner:
    """A partner of the scope's distributor by its id or its visible Partner ID, or the scope's own partner.

    Raises:
        NotFound: there is none, or it is not among the accessible ones.
    """
    if scope.top.tier is Tier.DISTRIBUTOR and not partner_id.startswith(GENERATED):
        code = find(PartnerCode, keys.node(scope.top), keys.partner_code(partner_id.casefold()))
        partner_id = code.partner_id if code else ""
    node = scope.reach(scope.top if scope.top.partner == partner_id else scope.partner(partner_id))
    return get_partner_at(scope, node)


def get_account_parent(scope: Scope, partner_id: str) -> Node:
    """The node whose accounts are meant: a partner's as in `get_partner`, or the distributor's own by
    `direct`.
    """
    if partner_id == DIRECT and scope.top.tier is Tier.DISTRIBUTOR:
        return scope.top.child(DIRECT)
    return get_partner(scope, partner_id).node


def get_partner_at(scope: Scope, node: Node) -> Partner:
    """The partner at a node."""
    if node.tier is not Tier.PARTNER or node.is_direct:
        raise NotFound
    found = find(Partner, keys.node(scope.reach(node)), keys.NODE)
    if found is None:
        raise NotFound
    return found


def find_partners_at(scope: Scope, nodes: Iterable[Node]) -> dict[Node, Partner]:
    """The partners at these nodes, those that exist and the scope covers; the direct node is none."""
    wanted = [
        (keys.node(node), keys.NODE) for node in set(nodes) if scope.covers(node) and not node.is_direct
    ]
    return {partner.node: partner for partner in find_many(Partner, wanted).values()}


def list_partner_ids(scope: Scope, distributor: Node) -> Iterator[str]:
    """The ids of a distributor's partners that the scope covers, read consistently in as few reads as can be."""
    pk, prefix = keys.node(scope.reach(distributor)), keys.partner_code("")
    partner_ids = (code.partner_id for code in query(PartnerCode, pk, prefix))
    return (each for each in partner_ids if scope.covers(distributor.child(each)))


def list_partners(scope: Scope, distributor: Node) -> Iterator[Partner]:
    """A distributor's partners that the scope covers, in no particular order."""
    pk, prefix = keys.by_parent(scope.reach(distributor), "PARTNER")
    return (
        partner for partner in query_index(Partner, "by_parent", pk, prefix) if scope.covers(partner.node)
    )
