"""Customer backup accounts, and how one is found by its id."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from portal import keys
from portal.change import Change
from portal.errors import NotFound
from portal.scope import Scope
from portal.table import (
    DateAttribute,
    InstantAttribute,
    Item,
    JsonAttribute,
    find,
    find_many,
    query,
    query_index,
)
from portal.tenants.records import Tenant
from portal.tree import DIRECT, Node, Tier


class Account(Tenant, discriminator="account"):
    """A customer backup account.

    `state` is `trial`, `expired`, `subscribed`, `removal_pending` or `removed`; what lists show as account
    status follows from it, the plan and the time (`portal.accounts.rules.account_status`).
    """

    account_id = UnicodeAttribute()
    data_center = UnicodeAttribute(null=True)
    archive_location = UnicodeAttribute(null=True)
    state = UnicodeAttribute()
    plan = UnicodeAttribute(null=True)
    """`monthly` or `annual`, what it subscribed to first; what holds on a day tells `portal.subscriptions.spans`. Kept when
    removed, because what was used is still billed.
    """
    plan_changes = JsonAttribute(null=True)
    """To the other plan and back since, earliest first: `[{"plan", "on"}, ...]`, also one that is still to come."""
    subscription_default = JsonAttribute()
    """The `portal.subscriptions.rules.DefaultSubscription` that it was created under."""
    trial_ends_at = InstantAttribute(null=True)
    """Set while the account is, or was, on trial."""
    trial_stage = UnicodeAttribute(null=True)
    """What the trial job has done: `started`, `expiring`; then `expired`, `warned_once`, `warned_twice`."""
    subscribed_on = DateAttribute(null=True)
    """First subscribed (billed) day."""
    ended_on = DateAttribute(null=True)
    """First day no longer subscribed: the day of removal."""
    removed_at = InstantAttribute(null=True)
    purged_at = InstantAttribute(null=True)
    """When the engine confirmed that the backed-up data is gone."""
    finally_billed_at = InstantAttribute(null=True)
    """Of a removed account: when its last bill was issued. Nothing bills it any more."""
    partner_called = JsonAttribute(null=True)
    """Once it is purged: its partner's `name` and `code`, for its last bill. The partner may be gone by then."""
    lifecycle_at = InstantAttribute(null=True)
    """When the trial or purge job has to look at the account next."""
    lifecycle = UnicodeAttribute(null=True)
    """Which job: `trial` or `purge`."""
    size_bytes = NumberAttribute(default=0)
    """What is backed up: the sum over its entities."""
    backup_status = UnicodeAttribute(default="no_backups")
    """From the last run of each active task: `no_backups`, `successful`, `partially_failed`, `failed`."""
    task_count = NumberAttribute(default=0)
    high_frequency_allowed = BooleanAttribute(default=False)
    """Whether an operator allowed several backups a day."""
    first_billed_on = DateAttribute(null=True)
    """Issue date of the first bill with a line of this account."""
    last_paid = JsonAttribute(null=True)
    """`{"minor", "currency", "on"}`: this account's share of the bill that was paid last."""

    def parent_key(self) -> tuple[str, str] | None:
        if self.state == "removed":
            return None
        return keys.by_parent(self.node.parent, "ACCOUNT", self.account_id)

    def distributor_key(self) -> tuple[str, str] | None:
        if self.state == "removed":
            return None
        return keys.by_distributor(self.node, "ACCOUNTS", "ACCOUNT", self.account_id)

    def due_key(self) -> tuple[str, str] | None:
        if self.lifecycle is None or self.lifecycle_at is None:
            return None
        return keys.by_due(self.lifecycle, self.lifecycle_at, self.account_id)


class Renewal(Item, discriminator="renewal"):
    """When an annual account's next term has to be invoiced, and what the present one was invoiced for."""

    due_at = InstantAttribute(null=True)
    """None while no term is to come: the account has ended, or is billed monthly."""
    term_start_on = DateAttribute(null=True)
    """First day of the term that was invoiced last."""
    invoiced = JsonAttribute(null=True)
    """Quantities of that invoice: `{service: quantity}`."""
    true_ups = JsonAttribute(null=True)
    """Growth invoiced in the last year, by payment date: `{date: {service: quantity}}`."""

    def due_key(self) -> tuple[str, str] | None:
        if self.due_at is None:
            return None
        return keys.by_due("annual", self.due_at, self.node.account)


class DirectoryEntry(Item, discriminator="directory"):
    """In the distributor's partition: that it has this account, and under which partner.

    Read consistently, these entries are the roster of a billing run, so an entry outlives the account until
    the last bill that concerns it is issued.
    """

    account_id = UnicodeAttribute()
    partner_id = UnicodeAttribute()

    @property
    def account_node(self) -> Node:
        return Node(self.node.distributor, self.partner_id, self.account_id)


class AccountPath(Item, discriminator="account-path"):
    """Where in the tree an account is, for those who know only its id: the engine and operators."""

    path = UnicodeAttribute()


def new_account(
    node: Node, name: str, email: str, data_center: str | None, at: datetime, beginning: Change
) -> Account:
    """`beginning` is its trial or subscription (`portal.subscriptions.rules.begin`)."""
    return Account(
        keys.node(node),
        keys.NODE,
        account_id=node.account,
        name=name,
        email=email,
        data_center=data_center,
        created_at=at,
        **beginning,
    )


def entries_of(account: Account) -> list[Item]:
    """What makes a new account findable; written in the transaction that creates it, deleted with it."""
    node = account.node
    pk = keys.node(node.distributor_node)
    return [
        DirectoryEntry(pk, keys.directory(node.account), account_id=node.account, partner_id=node.partner),
        AccountPath(*keys.account_path(node.account), path=str(node)),
    ]


def find_entries(account: Account) -> list[Item]:
    """The same as they are stored."""
    node = account.node
    entry = find(DirectoryEntry, keys.node(node.distributor_node), keys.directory(node.account))
    return [found for found in (entry, find(AccountPath, *keys.account_path(node.account))) if found]


def renewal_of(account: Account, due_at: datetime) -> Renewal:
    return Renewal(account.pk, keys.RENEWAL, due_at=due_at)


def find_account_node(scope: Scope, account_id: str) -> Node | None:
    """The node of an account that the scope covers, by what the scope's tier knows."""
    match scope.top.tier:
        case Tier.VENDOR:
            located = find(AccountPath, *keys.account_path(account_id))
            node = Node.parse(located.path) if located else None
        case Tier.DISTRIBUTOR:
            entry = find(DirectoryEntry, keys.node(scope.top), keys.directory(account_id))
            node = entry.account_node if entry else None
        case Tier.PARTNER:
            node = scope.top.child(account_id)
        case Tier.ACCOUNT:
            node = scope.top if scope.top.account == account_id else None
    return node if node and scope.covers(node) else None


def find_account_nodes(scope: Scope, account_ids: Iterable[str]) -> dict[str, Node]:
    """The nodes of those of these accounts that the scope of a distributor or partner covers, in few reads.

    A partner's accounts need not exist: it knows its own nodes without reading.
    """
    if scope.top.tier is Tier.DISTRIBUTOR:
        wanted = [(keys.node(scope.top), keys.directory(account_id)) for account_id in account_ids]
        nodes = [entry.account_node for entry in find_many(DirectoryEntry, wanted).values()]
    else:
        nodes = [scope.top.child(account_id) for account_id in account_ids if scope.top.tier is Tier.PARTNER]
    return {node.account: node for node in nodes if scope.covers(node)}


def get_account(scope: Scope, account_id: str) -> Account:
    """An account that the scope covers.

    Raises:
        NotFound: there is none, it was removed for good, or the scope does not cover it.
    """
    node = find_account_node(scope, account_id)
    if node is None:
        raise NotFound
    return get_account_at(scope, node)


def get_account_at(scope: Scope, node: Node) -> Account:
    """The account at a node."""
    found = find(Account, keys.node(scope.reach(node)), keys.NODE)
    if found is None or found.state == "removed":
        raise NotFound
    return found


def find_account_at(scope: Scope, node: Node) -> Account | None:
    """The account at a node, a removed one too."""
    return find(Account, keys.node(scope.reach(node)), keys.NODE)


def find_accounts_at(scope: Scope, nodes: Iterable[Node]) -> dict[Node, Account]:
    """The accounts at these nodes as they are now, those that exist, removed ones included."""
    wanted = [(keys.node(scope.reach(node)), keys.NODE) for node in nodes]
    return {account.node: account for account in find_many(Account, wanted).values()}


def where_listed(portal: Node) -> Node:
    """The parent of the accounts that a portal lists and adds: a partner, or a distributor's direct node."""
    return portal if portal.tier is Tier.PARTNER else portal.child(DIRECT)


def list_accounts(scope: Scope, under: Node) -> Iterator[Account]:
    """The accounts of a partner, or a distributor's direct ones, that the scope covers, in no order.

    `under` is a partner node, the reserved direct node included.
    """
    pk, prefix = keys.by_parent(_below(scope, under), "ACCOUNT")
    return (
        account for account in query_index(Account, "by_parent", pk, prefix) if scope.covers(account.node)
    )


def list_all_accounts(scope: Scope, distributor: Node) -> Iterator[Account]:
    """Every account of a distributor that the scope covers, its partners' too."""
    pk, prefix = keys.by_distributor(scope.reach(distributor), "ACCOUNTS", "ACCOUNT")
    return (
        account
        for account in query_index(Account, "by_distributor", pk, prefix)
        if scope.covers(account.node)
    )


def list_directory(
    scope: Scope, distributor: Node, after: str = "", *, limit: int | None = None
) -> Iterator[DirectoryEntry]:
    """Every account a distributor has, read consistently, by account id; `after` reads on behind that id."""
    pk, prefix = keys.node(scope.reach(distributor)), keys.directory()
    return query(DirectoryEntry, pk, prefix, after=keys.directory(after) if after else "", limit=limit)


def find_renewal(scope: Scope, account: Node) -> Renewal | None:
    return find(Renewal, keys.node(scope.reach(account)), keys.RENEWAL)


def find_renewals(scope: Scope, accounts: Iterable[Node]) -> dict[Node, Renewal]:
    """The renewals of these accounts as they are now."""
    wanted = [(keys.node(scope.reach(node)), keys.RENEWAL) for node in accounts]
    return {renewal.node: renewal for renewal in find_many(Renewal, wanted).values()}


def _below(scope: Scope, under: Node) -> Node:
    """A node whose children are listed: the scope narrows those, so it has to lie in the subtree itself."""
    if not scope.top.contains(under):
        raise NotFound
    return under
