"""Whether what a list of accessible partners and accounts names is there."""

from collections.abc import Collection

from portal.accounts.records import find_account_nodes, find_accounts_at, list_directory
from portal.partners.records import GENERATED, find_partners_at, list_partner_ids
from portal.scope import Scope
from portal.tree import Tier

_ONE_BY_ONE = 300
"""Up to so many ids are looked up by key, at 100 a read; for more, all that the distributor has is read in order."""


def known(scope: Scope, listed: Collection[str]) -> set[str]:
    """Those of these ids that a user of the scope's portal can be given: partners and direct accounts of a distributor,
    accounts of a partner.

    Read from the table itself, as it is now. A distributor's account is there until its last bill is issued.
    """
    if scope.top.tier is Tier.PARTNER:
        nodes = find_account_nodes(scope, listed)
        accounts = find_accounts_at(scope, nodes.values())
        return {node.account for node, account in accounts.items() if account.state != "removed"}
    if scope.top.tier is not Tier.DISTRIBUTOR:
        return set()
    partner_ids = {each for each in listed if each.startswith(GENERATED)}
    return _partners(scope, partner_ids) | _direct_accounts(scope, set(listed) - partner_ids)


def _partners(scope: Scope, wanted: set[str]) -> set[str]:
    if len(wanted) <= _ONE_BY_ONE:
        return {node.partner for node in find_partners_at(scope, [scope.top.child(each) for each in wanted])}
    return wanted & set(list_partner_ids(scope, scope.top))


def _direct_accounts(scope: Scope, wanted: set[str]) -> set[str]:
    if len(wanted) <= _ONE_BY_ONE:
        return {
            account_id for account_id, node in find_account_nodes(scope, wanted).items() if node.is_direct
        }
    nodes = (entry.account_node for entry in list_directory(scope, scope.top))
    return wanted & {node.account for node in nodes if node.is_direct and scope.covers(node)}
