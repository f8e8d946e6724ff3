"""Distributors: who buys from the vendor."""

from collections.abc import Iterator
from datetime import datetime

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from portal import keys
from portal.errors import NotFound
from portal.scope import Scope
from portal.table import (
    DateAttribute,
    DecimalAttribute,
    InstantAttribute,
    Item,
    JsonAttribute,
    find,
    query_index,
)
from portal.tenants.records import Tenant
from portal.tree import VENDOR, Node, Tier


class Distributor(Tenant, discriminator="distributor"):
    """A distributor (or a direct partner: one with accounts but no partners)."""

    distributor_id = UnicodeAttribute()
    country = UnicodeAttribute()
    business = UnicodeAttribute()
    """`distributor` or `direct_partner`."""
    payment_day = NumberAttribute()
    """1-31; clipped to the month's end."""
    billed_from_on = DateAttribute()
    """Start of the first billing period: the payment day at or before the distributor was created."""
    billing_method = UnicodeAttribute(null=True)
    """`credit_card`, `invoice`, or None until it is chosen."""
    currency = UnicodeAttribute()
    tax_rate = DecimalAttribute()
    """Fraction of the net total, e.g. 0.17."""
    tax_name = UnicodeAttribute(null=True)
    tax_id = UnicodeAttribute(null=True)
    reverse_charge = BooleanAttribute(default=False)
    address = JsonAttribute(null=True)
    """Lines of the payer's postal address."""
    default_subscription = JsonAttribute(null=True)
    """See `portal.subscriptions.rules.DefaultSubscription`."""

    def parent_key(self) -> tuple[str, str]:
        return keys.by_parent(VENDOR, "DISTRIBUTOR", self.distributor_id)


class Schedule(Item, discriminator="schedule"):
    """When something has to be done for a distributor next."""

    schedule = UnicodeAttribute()
    """`usage` (nightly snapshot) or `monthly` (consolidated bill)."""
    due_at = InstantAttribute()
    bill_sk = UnicodeAttribute(null=True)
    """Monthly: the bill being made for the period that ends at `due_at`. One pointer, so never a second bill."""
    follow_up_sk = UnicodeAttribute(null=True)
    """Monthly: the bill issued last, while the accounts that its issue changes are not all changed yet."""
    follow_up_at = InstantAttribute(null=True)
    """Since when; until that is done the schedule stays due."""
    followed_up_to = NumberAttribute(default=0)
    """The part of that bill up to which it is done."""

    def due_key(self) -> tuple[str, str]:
        return keys.by_due(self.schedule, self.follow_up_at or self.due_at, self.node.distributor)


def schedule(node: Node, kind: str, due_at: datetime) -> Schedule:
    """A new schedule of a distributor."""
    return Schedule(keys.node(node), keys.schedule(kind), schedule=kind, due_at=due_at)


def get_schedule(scope: Scope, node: Node, kind: str) -> Schedule:
    found = find(Schedule, keys.node(scope.reach(node)), keys.schedule(kind))
    if found is None:
        raise NotFound
    return found


def get_distributor(scope: Scope, distributor_id: str) -> Distributor:
    """A distributor that the scope covers (its own node, or any one for operators and jobs).

    Raises:
        NotFound: there is none, or the scope does not cover it.
    """
    node = scope.reach(Node(distributor_id)) if distributor_id else VENDOR
    if node.tier is not Tier.DISTRIBUTOR:
        raise NotFound
    found = find(Distributor, keys.node(node), keys.NODE)
    if found is None:
        raise NotFound
    return found


def list_distributors(scope: Scope) -> Iterator[Distributor]:
    """Every distributor, for operators."""
    pk, prefix = keys.by_parent(scope.reach(VENDOR), "DISTRIBUTOR")
    return query_index(Distributor, "by_parent", pk, prefix)
