"""What several operations and jobs do with accounts."""

from typing import TYPE_CHECKING

from portal.accounts import records
from portal.billing.records import new_usage
from portal.billing.standing import Standing, load_standings
from portal.change import Change
from portal.journal import Activity, Entry
from portal.partners.records import get_partner_at
from portal.scope import Scope
from portal.subscriptions.actions import first_renewal, subscribed_entry
from portal.table import Add, Item, Update, Write
from portal.tree import Node

if TYPE_CHECKING:
    from portal.accounts.records import Account
    from portal.operation import Call


def standing_of(call: "Call", account: "Account") -> Standing | None:
    """Where an account stands with its bills, for callers who see money."""
    if not call.caller.sees_money:
        return None
    distributor = account.node.distributor_node
    return load_standings(call.scope, distributor, [account], call.now.date())[account.account_id]


def companions_of(account: "Account") -> list[Item]:
    """What a new account does not go without; written in the transaction that creates it."""
    return [*records.entries_of(account), new_usage(account.node)]


def counted_in(scope: Scope, node: Node) -> list[Write]:
    """The partner has one account more, so it cannot be removed meanwhile. Direct ones are not counted."""
    if node.is_direct:
        return []
    return [Add(get_partner_at(scope, node.partner_node), "account_count", 1)]


def ended(account: "Account", change: Change) -> list[Write]:
    """The writes that end an account; one whose trial had subscribed itself is invoiced for that, too."""
    return [Update(account, change), *first_renewal(account, change)]


def creation_entries(portal: Node, account: "Account") -> list[Entry]:
    said = f"Created account {account.email}"
    created = Entry(Activity.ACCOUNT_CREATED, portal, said, account.email, account.node)
    if account.state != "subscribed":
        return [created]
    return [created, subscribed_entry(portal, account, account.plan)]


def removal_entries(portal: Node, account: "Account", change: Change) -> list[Entry]:
    """The audit entry of a removal; before it, that of a subscription which no job had noticed yet."""
    said = f"Removed {account.email}"
    removed = Entry(Activity.ACCOUNT_REMOVED, portal, said, account.email, account.node)
    if "subscribed_on" not in change:
        return [removed]
    return [subscribed_entry(portal, account, change["plan"]), removed]


def change_entries(portal: Node, account: "Account", change: Change) -> list[Entry]:
    """What the audit trail tells of a change that is not made yet."""
    entries = []
    if "name" in change:
        renamed = f"Changed the name of {account.email} from {account.name} to {change['name']}"
        entries.append(Entry(Activity.CHANGED_ACCOUNT_NAME, portal, renamed, account.email, account.node))
    if "data_center" in change:
        moved = f"Changed the data center of {account.email} to {change['data_center']}"
        entries.append(Entry(Activity.SETTINGS_CHANGED, portal, moved, account.email, account.node))
    if "pending_email" in change:
        asked = change["pending_email"]
        said = f"once it is confirmed, to {asked}" if asked else "to no other one"
        moved = f"Changed the e-mail address of {account.email} {said}"
        entries.append(Entry(Activity.SETTINGS_CHANGED, portal, moved, account.email, account.node))
    return entries
