"""Which accounts a report covers: chosen once, when its first turn begins, in the order of the report."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson

from portal.accounts import listing
from portal.accounts.records import (
    Account,
    find_account_node,
    find_accounts_at,
    get_account_at,
    list_accounts,
    list_all_accounts,
)
from portal.adapters import files
from portal.billing.standing import load_standings
from portal.partners.records import get_partner, list_partners
from portal.reports.records import Report
from portal.scope import Scope
from portal.tree import DIRECT, Node, Tier

DIRECT_ACCOUNTS = "Direct Accounts"
_LOADED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen accounts, in order, and the names of the partners they are under."""

    nodes: list[Node]
    partner_names: dict[str, str]

    def accounts(self, scope: Scope, first: int) -> Iterator[tuple[int, Account | None]]:
        """The accounts from a place on, as they are now; None where the scope does not cover it any more."""
        for start in range(first, len(self.nodes), _LOADED_AT_ONCE):
            nodes = self.nodes[start : start + _LOADED_AT_ONCE]
            found = find_accounts_at(scope, filter(scope.covers, nodes))
            for place, node in enumerate(nodes, start):
                account = found.get(node)
                yield place, None if account is None or account.state == "removed" else account


def choose(report: Report, scope: Scope, now: datetime) -> Selection:
    """Choose the accounts and keep the choice beside the report."""
    names = _partner_names(scope)
    chosen = sorted(
        _wanted(report, scope, now),
        key=lambda each: (names.get(each.node.partner, "").casefold(), each.name.casefold(), each.account_id),
    )
    nodes = [account.node for account in chosen]
    files.put(report.selection_key, orjson.dumps([str(node) for node in nodes]), "application/json")
    return Selection(nodes, names)


def chosen(report: Report, scope: Scope) -> Selection:
    """What an earlier turn chose."""
    return Selection(nodes_of(report), _partner_names(scope))


def nodes_of(report: Report) -> list[Node]:
    """The accounts that a report covers.

    Raises:
        NoSuchFile: they were not chosen yet, or the report's files are deleted.
    """
    return [Node.parse(path) for path in orjson.loads(files.read(report.selection_key))]


def _wanted(report: Report, scope: Scope, now: datetime) -> Iterable[Account]:
    if "account_ids" in report.wanted_accounts:
        nodes = (find_account_node(scope, account_id) for account_id in report.wanted_accounts["account_ids"])
        found = find_accounts_at(scope, {node for node in nodes if node})
        return [account for account in found.values() if account.state != "removed"]
    filters = listing.AccountFilters.model_validate(report.wanted_accounts["filters"])
    accounts = list(_all(scope))
    standings = (
        load_standings(scope, scope.top, accounts, now.date(), last_paid=False)
        if filters.billing_status
        else None
    )
    return [listed.account for listed in listing.chosen(accounts, filters, now, standings)]


def _all(scope: Scope) -> Iterable[Account]:
    match scope.top.tier:
        case Tier.DISTRIBUTOR:
            return list_all_accounts(scope, scope.top)
        case Tier.PARTNER:
            return list_accounts(scope, scope.top)
        case _:
            return [get_account_at(scope, scope.top)]


def _partner_names(scope: Scope) -> dict[str, str]:
    """Names by partner id, as far as the scope shows partners."""
    match scope.top.tier:
        case Tier.DISTRIBUTOR:
            named = {partner.partner_id: partner.name for partner in list_partners(scope, scope.top)}
            return named | {DIRECT: DIRECT_ACCOUNTS}
        case Tier.PARTNER:
            return {scope.top.partner: get_partner(scope, scope.top.partner).name}
        case _:
            return {}
