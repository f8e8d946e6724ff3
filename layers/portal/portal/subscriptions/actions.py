"""Subscribing accounts, and what the trial job does to an account when its time has come."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from portal.access import accessible_to
from portal.accounts import records as accounts
from portal.accounts import rules as account_rules
from portal.change import Change
from portal.engine.commands import activate_task, pause_task, purge_account
from portal.errors import Conflict
from portal.identity.records import User, list_users
from portal.journal import Activity, Entry, Message
from portal.notifications.messages import mail
from portal.scope import EVERYTHING, Caller, Scope
from portal.subscriptions import rules
from portal.table import Contended, Put, Update, Write, settled
from portal.tasks.records import list_tasks
from portal.tree import Node

if TYPE_CHECKING:
    from portal.accounts.records import Account
    from portal.consumer import Work
    from portal.operation import Call
    from portal.subscriptions.rules import Plan
    from portal.subscriptions.views import Outcome
    from portal.tasks.records import Task

_SUBSCRIBED_AT_ONCE = 33
"""Accounts in one transaction: each takes up to three of its hundred writes."""


def first_renewal(account: "Account", change: Change) -> list[Write]:
    """What makes the annual billing run look at a newly subscribed account, where it is annual."""
    if change.get("plan") != "annual":
        return []
    return [Put(accounts.renewal_of(account, rules.invoiced_at(change["subscribed_on"])))]


# Subscribing many


def subscribe_many(call: "Call", nodes: Sequence[Node], plan: "Plan") -> "dict[str, Outcome]":
    """Subscribe those of the accounts that never were, in few transactions, for as long as the call has time.

    Somebody who interferes with one account delays that one alone. By account id, what became of each.
    """
    outcomes: dict[str, Outcome] = {node.account: "not_reached" for node in nodes}
    for first in range(0, len(nodes), _SUBSCRIBED_AT_ONCE):
        if call.time_is_short:
            break
        some = nodes[first : first + _SUBSCRIBED_AT_ONCE]
        with suppress(Contended):
            outcomes |= _subscribe(call, some, plan)
        left = [node for node in some if outcomes[node.account] == "not_reached"]
        outcomes |= _subscribe_one_by_one(call, left, plan)
    return outcomes


def _subscribe_one_by_one(call: "Call", nodes: Sequence[Node], plan: "Plan") -> "dict[str, Outcome]":
    outcomes: dict[str, Outcome] = {}
    for node in nodes:
        if call.time_is_short:
            break
        try:
            outcomes |= settled(partial(_subscribe, call, [node], plan))
        except Conflict:
            outcomes[node.account] = "not_reached"
    return outcomes


def _subscribe(call: "Call", nodes: Sequence[Node], plan: "Plan") -> "dict[str, Outcome]":
    """One transaction. Of several accounts, those with paused backups are left out: each needs its own."""
    found = accounts.find_accounts_at(call.scope, nodes)
    outcomes: dict[str, Outcome] = {}
    writes: list[Write] = []
    audit: list[Entry] = []
    send: list[Message] = []
    for node in nodes:
        account = found.get(node)
        if account is None or account.state == "removed":
            outcomes[node.account] = "not_found"
            continue
        try:
            change = rules.subscribe(account, plan, call.now)
        except rules.AlreadySubscribed:
            outcomes[node.account] = "already_subscribed"
            continue
        except rules.RemovalPending:
            outcomes[node.account] = "removal_pending"
            continue
        if account.state == "expired":
            if len(nodes) > 1:
                continue
            resumed, commands = _told_to_engine(node, activate_task)
            writes += resumed
            send += commands
        writes += [Update(account, change), *first_renewal(account, change)]
        audit.append(subscribed_entry(call.caller.portal, account, plan))
        outcomes[node.account] = "subscribed"
    if writes:
        call.commit_now(*writes, audit=audit, send=send)
    return outcomes


def subscribed_entry(portal: Node, account: "Account", plan: str) -> Entry:
    return Entry(
        Activity.SUBSCRIBED_TO_PLAN,
        portal,
        f"Subscribed {account.email} to the {plan} plan",
        account.email,
        account.node,
    )


# Trials


def advance_trial(work: "Work", node: Node) -> None:
    """Do to an account whatever is due by now: nothing, one step, or several when the job was silent."""
    while settled(partial(_step, work, node)):
        pass


def _step(work: "Work", node: Node) -> bool:
    """The step that is due now, if one is, in one transaction; whether there was one."""
    account = accounts.find_account_at(EVERYTHING, node)
    if account is None:
        return False
    now, reseller = work.now, _reseller(node)
    if change := rules.ended_trial(account, now):
        _end_trial(work, account, change, reseller)
    elif change := rules.about_to_expire(account, now):
        mails = _mails(account, "trial_expiring", change, account.trial_ends_at)
        work.commit(Update(account, change), send=mails)
    elif change := rules.next_warning(account, now):
        mails = _mails(account, "trial_data_deletion", change, rules.deleted_at(change))
        work.commit(Update(account, change), send=mails)
    elif rules.is_to_be_removed(account, now):
        removed = f"Removed {account.email}: it was not subscribed within 30 days after its trial"
        entry = Entry(Activity.ACCOUNT_REMOVED, reseller, removed, account.email, node)
        change = account_rules.remove(account, now)
        work.commit(Update(account, change), audit=[entry], send=[purge_account(node)])
    else:
        return False
    return True


def _end_trial(work: "Work", account: "Account", change: Change, reseller: Node) -> None:
    if change["state"] == "subscribed":
        entry = subscribed_entry(reseller, account, change["plan"])
        work.commit(Update(account, change), *first_renewal(account, change), audit=[entry])
    else:
        ended = f"The trial of {account.email} ended without a subscription"
        entry = Entry(Activity.TRIAL_CANCELED, reseller, ended, account.email, account.node)
        paused, commands = _told_to_engine(account.node, pause_task)
        work.commit(Update(account, change), *paused, audit=[entry], send=commands)


def _told_to_engine(
    node: Node, command: "Callable[[Node, Task], Message]"
) -> tuple[list[Write], list[Message]]:
    """The command about each of an account's active tasks, to be committed together with the writes.

    A task that waits for a subscription stays active as far as its owner is concerned, so that subscribing
    brings back just those that ran. It is written along because a command carries the version that its task
    has afterwards.
    """
    active = [task for task in list_tasks(EVERYTHING, node) if task.state == "active"]
    return [Update(task, Change()) for task in active], [command(node, task) for task in active]


# Mail


def _mails(account: "Account", template: str, change: Change, at: datetime) -> Iterator[Message]:
    """One mail to the administrators of the account's portal, one to those of its reseller who see it."""
    parameters = {
        "account": account.name,
        "email": account.email,
        "at": f"{at:%Y-%m-%d %H:%M} UTC",
        "plan": account.subscription_default.get("plan"),
    }
    dedupe = f"{template} {account.account_id} {change['trial_stage']}"
    for portal in (account.node, _reseller(account.node)):
        to = [user.email for user in list_users(EVERYTHING, portal) if _is_told(user, portal, account.node)]
        if to:
            yield mail(portal, to=to, template=template, parameters=parameters, dedupe=dedupe)


def _is_told(user: User, portal: Node, account: Node) -> bool:
    if user.role != "administrator" or user.state == "disabled":
        return False
    told = Caller(kind="user", user_id=user.user_id, home=portal, portal=portal, limited=user.limited)
    return Scope(portal, accessible_to(told)).covers(account)


def _reseller(node: Node) -> Node:
    """Who sells to the account: its partner, or for a direct one its distributor."""
    return node.distributor_node if node.is_direct else node.partner_node
