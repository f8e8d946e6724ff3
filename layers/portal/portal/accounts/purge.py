"""Deleting what is left of a removed account, once the engine has confirmed that the backed-up data is gone.

In two steps. First everything but its audit trail and what its last bill needs; then, when that bill is
issued, the rest. Both can be broken off and begun again anywhere.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from portal import keys
from portal.accounts import records, rules
from portal.adapters import files
from portal.billing.records import find_usage
from portal.billing.snapshot import close_usage
from portal.change import Change
from portal.dashboard.actions import roll_up
from portal.engine.commands import purge_account
from portal.identity.actions import forget, release_users
from portal.identity.records import list_users
from portal.partners.records import get_partner_at
from portal.scope import EVERYTHING
from portal.streamed_files.records import folder_of
from portal.table import Add, Delete, Item, Update, Write, erase, list_sort_keys, settled
from portal.tree import Node

if TYPE_CHECKING:
    from portal.consumer import Work

_ERASED_AT_A_TIME = 500
_KEPT_UNTIL_BILLED = {keys.NODE, keys.RENEWAL, keys.ROLLED_UP}
_KEPT = {"AUDIT", "API_KEY", "USER"}
"""A user ends together with its hold on an e-mail address (`_release_addresses`). API keys are deleted with their users'
sign-ins (`identity.forgetting`), which lie elsewhere and are found by them.
"""


def advance(work: "Work", node: Node) -> bool:
    """Do to a removed account what is due by now; False when time ran out before the end."""
    account = records.find_account_at(EVERYTHING, node)
    if account is None or account.lifecycle != "purge" or account.lifecycle_at > work.now:
        return True
    if account.state == "removal_pending":
        if account.purged_at is None:
            settled(partial(_ask_again, work, node))
            return True
        if not settled(partial(_erase, work, node)):
            return False
    roll_up(work, [node])
    # An event that was just being taken in while the items went may have left some behind, and so may who added a user.
    settled(partial(_release_addresses, work, node, account.email))
    if not _erase_items(work, node):
        return False
    settled(partial(_delete_rest, work, node))
    return True


def _ask_again(work: "Work", node: Node) -> None:
    account = records.find_account_at(EVERYTHING, node)
    if account is not None and account.purged_at is None and account.lifecycle_at <= work.now:
        work.commit(Update(account, rules.purge_asked_again(work.now)), send=[purge_account(node)])


def _erase(work: "Work", node: Node) -> bool:
    """False when time ran out before everything was gone."""
    account = records.find_account_at(EVERYTHING, node)
    if account is None or account.state != "removal_pending":
        return True
    # It is marked as it was read before its items went: whatever was added meanwhile brings us back here.
    _release_addresses(work, node, account.email)
    # What its last bill counts is read from entities that go now.
    close_usage(node, account.ended_on or work.now.date(), work.now)
    if not _erase_items(work, node):
        return False
    files.delete_prefix(folder_of(node))
    change, counted_out = rules.purged(account), list[Write]()
    if not node.is_direct:
        partner = get_partner_at(EVERYTHING, node.partner_node)
        change |= Change(partner_called={"name": partner.name, "code": partner.partner_code})
        counted_out = [Add(partner, "account_count", -1)]
    work.commit(Update(account, change), *counted_out)
    return True


def _release_addresses(work: "Work", node: Node, email: str) -> None:
    """Free the account's own e-mail address and those of its users, each in one transaction with the end of the user."""
    for user in list_users(EVERYTHING, node):
        work.commit(*release_users(node, [user]), send=forget(node, [user]))
    if own := release_users(node, [], tenant_email=email):
        work.commit(*own)


def _erase_items(work: "Work", node: Node) -> bool:
    """False when time ran out before everything was gone."""
    doomed: Iterator[str] = (
        sk
        for sk in list_sort_keys(keys.node(node))
        if sk not in _KEPT_UNTIL_BILLED and keys.split(sk)[0] not in _KEPT
    )
    while some := list(islice(doomed, _ERASED_AT_A_TIME)):
        if work.time_is_short:
            return False
        erase(keys.node(node), some)
    return True


def _delete_rest(work: "Work", node: Node) -> None:
    account = records.find_account_at(EVERYTHING, node)
    if account is None or account.state != "removed" or not rules.is_done_with(account):
        return
    usage, renewal = find_usage(EVERYTHING, node), records.find_renewal(EVERYTHING, node)
    rest: list[Item] = [*records.find_entries(account), *filter(None, (usage, renewal)), account]
    work.commit(*(Delete(record) for record in rest))
