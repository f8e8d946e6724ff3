"""What taking in events reads: many records of many accounts at once."""

from collections.abc import Iterable

from portal import keys
from portal.accounts.records import AccountPath
from portal.scope import Scope
from portal.table import Item, find_many
from portal.tree import Node

Key = tuple[str, str]


def find_account_nodes(scope: Scope, account_ids: Iterable[str]) -> dict[str, Node]:
    """Where these accounts are, by id, those that exist and that the scope covers."""
    located = find_many(AccountPath, {keys.account_path(account_id) for account_id in account_ids})
    nodes = (Node.parse(each.path) for each in located.values())
    return {node.account: node for node in nodes if scope.covers(node)}


def find_all(scope: Scope, wanted: Iterable[Key]) -> dict[Key, Item]:
    """The records with these keys as they are now, of whatever kinds, those that exist."""
    return find_many(Item, {key for key in wanted if scope.reach(keys.node_of(key[0]))})
