"""Roll-ups: sums over a partner's accounts, kept from the table's stream."""

from collections.abc import Iterable, Iterator, Mapping

from pynamodb.attributes import NumberAttribute

from portal import keys
from portal.scope import Scope
from portal.table import Item, JsonAttribute, find, find_many, query_index
from portal.tree import Node


class RollUp(Item, discriminator="rollup"):
    """Sums over the accounts of one partner (or over a distributor's direct accounts)."""

    counts = JsonAttribute()
    """How many accounts have which property; see `portal.dashboard.rules.contribution`."""
    size_bytes = NumberAttribute(default=0)

    @property
    def sums(self) -> dict[str, int]:
        """Counts and size as one contribution."""
        return {**self.counts, **({"size_bytes": int(self.size_bytes)} if self.size_bytes else {})}

    def parent_key(self) -> tuple[str, str]:
        return keys.by_parent(self.node.parent, "ROLLUP", self.node.partner)


class RolledUp(Item, discriminator="rolled-up"):
    """What an account adds to its partner's sums at present. Written only together with the sums."""

    contribution = JsonAttribute()


def new_rollup(partner: Node) -> RollUp:
    return RollUp(keys.node(partner), keys.ROLLUP, counts={}, size_bytes=0)


def new_rolled_up(account: Node, contribution: Mapping[str, int]) -> RolledUp:
    return RolledUp(keys.node(account), keys.ROLLED_UP, contribution=dict(contribution))


def find_rollup(scope: Scope, partner: Node) -> RollUp | None:
    """The sums over a partner's accounts. Only for scopes that see all of them."""
    return find(RollUp, keys.node(scope.reach(partner)), keys.ROLLUP)


def find_rollups(scope: Scope, partners: Iterable[Node]) -> dict[Node, RollUp]:
    """The sums of these partners as they are now, those that exist."""
    wanted = [(keys.node(scope.reach(node)), keys.ROLLUP) for node in partners]
    return {rollup.node: rollup for rollup in find_many(RollUp, wanted).values()}


def list_rollups(scope: Scope, distributor: Node) -> Iterator[RollUp]:
    """The sums of each partner of a distributor that the scope covers, direct accounts included."""
    pk, prefix = keys.by_parent(scope.reach(distributor), "ROLLUP")
    return (rollup for rollup in query_index(RollUp, "by_parent", pk, prefix) if scope.covers(rollup.node))


def find_rolled_up(scope: Scope, accounts: Iterable[Node]) -> dict[Node, RolledUp]:
    """What these accounts add at present, those that add something."""
    wanted = [(keys.node(scope.reach(node)), keys.ROLLED_UP) for node in accounts]
    return {rolled_up.node: rolled_up for rolled_up in find_many(RolledUp, wanted).values()}
