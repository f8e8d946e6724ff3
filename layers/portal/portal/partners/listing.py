"""The list of a distributor's partners, with what is read off the roll-ups and the bills."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator

from portal.accounts.listing import Search, folded, matches_search, one_or_several
from portal.accounts.records import Account, list_accounts, list_all_accounts
from portal.billing.standing import (
    AmountView,
    PartnerStatus,
    Standing,
    amount,
    load_standings,
    partner_billing_status,
)
from portal.dashboard.records import list_rollups
from portal.dashboard.rules import Contribution, TaskStatus, contribution, task_status, total
from portal.paging import PageQuery, SortKey
from portal.partners.records import Partner, list_partners
from portal.scope import Scope
from portal.tree import DIRECT, Node

DIRECT_ACCOUNTS = "Direct Accounts"


class PartnersQuery(PageQuery):
    """A page of the list of partners. A minus sign before the sort field sorts descending."""

    search: Search | None = None
    task_status: Annotated[list[TaskStatus], BeforeValidator(one_or_several)] | None = None
    billing_status: Annotated[list[PartnerStatus], BeforeValidator(one_or_several)] | None = None
    sort: Literal[
        "name", "-name", "email", "-email", "partner_id", "-partner_id", "size", "-size", "amount", "-amount",
        "task_status", "-task_status", "billing_status", "-billing_status",
    ] = "name"  # fmt: skip

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def needs_money(self) -> bool:
        """Whether the choice or the order of rows depends on every account's bills."""
        return self.billing_status is not None or self.sort.lstrip("-") in ("amount", "billing_status")


@dataclass(frozen=True, slots=True)
class Money:
    """What the bills say of a row."""

    status: PartnerStatus
    amount: AmountView | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A partner, or (None) the distributor's direct accounts, with the sums over its accounts."""

    node: Node
    partner: Partner | None
    counts: Contribution

    @property
    def name(self) -> str:
        return self.partner.name if self.partner else DIRECT_ACCOUNTS

    @property
    def email(self) -> str:
        return self.partner.email if self.partner else ""

    @property
    def partner_id(self) -> str:
        return self.partner.partner_code if self.partner else ""

    @property
    def task_status(self) -> TaskStatus:
        return task_status(self.counts)


def list_rows(scope: Scope, distributor: Node) -> Iterator[Listed]:
    """The direct accounts, and every partner that the scope covers.

    Somebody who sees only some of the direct accounts gets the sums over those.
    """
    sums = {rollup.node: rollup.sums for rollup in list_rollups(scope, distributor)}
    direct = distributor.child(DIRECT)
    if scope.accessible is not None:
        sums[direct] = total(contribution(account) for account in list_accounts(scope, direct))
    yield Listed(direct, None, sums.get(direct, {}))
    for partner in list_partners(scope, distributor):
        yield Listed(partner.node, partner, sums.get(partner.node, {}))


def load_money(scope: Scope, distributor: Node, nodes: Iterable[Node], today: date) -> dict[Node, Money]:
    """What the bills say of these rows' nodes, over those of their accounts that the scope covers."""
    nodes = list(nodes)
    accounts = [account for node in nodes for account in list_accounts(scope, node)]
    return _money(scope, distributor, nodes, accounts, today)


def load_all_money(scope: Scope, distributor: Node, rows: Iterable[Listed], today: date) -> dict[Node, Money]:
    """The same for all rows of a distributor, reading its accounts at one go."""
    accounts = list(list_all_accounts(scope, distributor))
    return _money(scope, distributor, [row.node for row in rows], accounts, today)


def _money(
    scope: Scope, distributor: Node, nodes: Iterable[Node], accounts: list[Account], today: date
) -> dict[Node, Money]:
    standings = load_standings(scope, distributor, accounts, today)
    by_partner: dict[Node, list[Standing]] = defaultdict(list)
    for account in accounts:
        by_partner[account.node.partner_node].append(standings[account.account_id])
    return {node: Money(partner_billing_status(by_partner[node]), amount(by_partner[node])) for node in nodes}


def admits(query: PartnersQuery, row: Listed, money: Mapping[Node, Money]) -> bool:
    """Whether the filters choose a row."""
    return (
        (query.search is None or matches_search(query.search, row.name, row.email))
        and (query.task_status is None or row.task_status in query.task_status)
        and (query.billing_status is None or money[row.node].status in query.billing_status)
    )


_TASKS_ORDER: tuple[TaskStatus, ...] = ("no_accounts_yet", "no_tasks_yet", "failures", "successful")
_BILLS_ORDER: tuple[PartnerStatus, ...] = ("successful", "all_bills_on_track", "with_exceptions", "failures")


def sort_key(query: PartnersQuery, money: Mapping[Node, Money]) -> Callable[[Listed], SortKey]:
    """The direct accounts first, whichever way it is sorted; then by the field, the name and the id."""

    def field(row: Listed) -> str | int:
        match query.sort.lstrip("-"):
            case "email":
                return folded(row.email)
            case "partner_id":
                return folded(row.partner_id)
            case "size":
                return row.counts.get("size_bytes", 0)
            case "amount":
                shown = money[row.node].amount
                return shown.minor if shown and shown.kind == "owed" else 0
            case "task_status":
                return _TASKS_ORDER.index(row.task_status)
            case "billing_status":
                return _BILLS_ORDER.index(money[row.node].status)
        return folded(row.name)

    def key(row: Listed) -> SortKey:
        direct_comes_first = (row.partner is None) == query.descending
        return (int(direct_comes_first), field(row), folded(row.name), row.node.partner)

    return key
