"""Roll-ups: sums over a partner's accounts, kept from the table's stream."""

from collections.abc import Iterator

from pynamodb.attributes import NumberAttribute

from portal import keys
from portal.scope import Scope
from portal.table import Item, JsonAttribute, find, query_index
from portal.tree import Node


class RollUp(Item, discriminator="rollup"):
    """Sums over the accounts of one partner (or over a distributor's direct accounts)."""

    counts = JsonAttribute()
    """How many accounts have which property; see `portal.dashboard.rules.contribution`."""
    size_bytes = NumberAttribute(default=0)

    def parent_key(self) -> tuple[str, str]:
        return keys.by_parent(self.node.parent, "ROLLUP", self.node.partner)


class RolledUp(Item, discriminator="rolled-up"):
    """What an account adds to its partner's sums at present, and the version of the account that said so."""

    contribution = JsonAttribute()
    account_version = NumberAttribute()


def find_rollup(scope: Scope, partner: Node) -> RollUp | None:
    """The sums over a partner's accounts. Only for scopes that see all of them."""
    return find(RollUp, keys.node(scope.reach(partner)), keys.ROLLUP)


def list_rollups(scope: Scope, distributor: Node) -> Iterator[RollUp]:
    """The sums of each partner of a distributor that the scope covers, direct accounts included."""
    pk, prefix = keys.by_parent(scope.reach(distributor), "ROLLUP")
    return (rollup for rollup in query_index(RollUp, "by_parent", pk, prefix) if scope.covers(rollup.node))


def find_rolled_up(scope: Scope, account: Node) -> RolledUp | None:
    return find(RolledUp, keys.node(scope.reach(account)), keys.ROLLED_UP)
