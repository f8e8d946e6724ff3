"""What an issued consolidated bill means for its accounts: written after it, derived from it alone.

An account that was on a bill for the first time says so; a removed account that no later bill will concern
may be deleted for good; a true-up counts as invoiced. Each of these is written only where it is not yet, so
that this may die anywhere and be done again: the schedule names the bill until all is done, and no later
period is rated before.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from portal.accounts.records import Account, find_accounts_at, find_renewal
from portal.accounts.rules import finally_billed
from portal.billing import lines, true_ups
from portal.billing.rating import Line
from portal.billing.records import Bill, BillPart, find_bill, get_part
from portal.change import Change
from portal.consumer import Work
from portal.distributors.records import Schedule
from portal.scope import EVERYTHING
from portal.table import Update, settled
from portal.tree import Node


def follow_up(work: Work, schedule: Schedule) -> None:
    """Go on until it is done or time is short.

    Raises:
        Contended: a copy of this run was faster.
    """
    bill = find_bill(EVERYTHING, schedule.node, schedule.follow_up_sk or "")
    for number in (bill.follow_up_parts or ()) if bill else ():
        if bill is None or number <= schedule.followed_up_to:
            continue
        _follow_up_part(work, bill, get_part(EVERYTHING, bill, number))
        work.commit(Update(schedule, Change(followed_up_to=number)))
        if work.time_is_short:
            return
    work.commit(Update(schedule, Change(follow_up_sk=None, follow_up_at=None, followed_up_to=0)))


def _follow_up_part(work: Work, bill: Bill, part: BillPart) -> None:
    grown: dict[str, list[Line]] = {}
    for line in lines.lines_of(part):
        if line.kind == "true_up":
            grown.setdefault(line.account_id, []).append(line)
    nodes = {
        entry["account_id"]: Node(bill.node.distributor, entry["partner_id"], entry["account_id"])
        for entry in part.roster
    }
    told = [entry for entry in part.roster if entry.get("first") or entry.get("last")]
    accounts = find_accounts_at(EVERYTHING, [nodes[entry["account_id"]] for entry in told])
    for entry in told:
        settled(partial(_tell_account, work, bill, nodes[entry["account_id"]], entry, accounts))
    for account_id, true_up in grown.items():
        settled(partial(_tell_renewal, work, bill, nodes[account_id], true_up))


def _tell_account(
    work: Work, bill: Bill, at: Node, entry: Mapping[str, Any], loaded: dict[Node, Account]
) -> None:
    """`loaded` serves the first attempt; who lost a race reads the account by itself."""
    account = loaded.pop(at, None) or find_accounts_at(EVERYTHING, [at]).get(at)
    if account is None:
        return
    change = Change()
    if entry.get("first") and account.first_billed_on is None:
        change |= Change(first_billed_on=bill.issued_on)
    if entry.get("last") and account.state in ("removal_pending", "removed"):
        change |= finally_billed(account, work.now)
    if change:
        work.commit(Update(account, change))


def _tell_renewal(work: Work, bill: Bill, at: Node, grown: Iterable[Line]) -> None:
    renewal = find_renewal(EVERYTHING, at)
    if renewal and (change := true_ups.recorded(renewal, bill.period_end_on, grown)):
        work.commit(Update(renewal, change))
