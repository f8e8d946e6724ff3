"""Where accounts stand with their bills: what each owes, since when, or what it paid last.

Nothing of it is stored per account, so nothing can disagree with the bills: it is derived from the open bills
and the consolidated bill that was paid last. Only distributors and operators may see it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from portal.billing import credits, lines, records
from portal.billing.rating import Line, gross_by_account
from portal.distributors.records import get_distributor
from portal.money import Money, allocate, total_of
from portal.money_view import MoneyView, money
from portal.periods import period_containing, period_ending
from portal.scope import Scope
from portal.tree import Node

if TYPE_CHECKING:
    from portal.accounts.records import Account
    from portal.distributors.records import Distributor

Status = Literal["trial", "none", "current", "due", "overdue"]
PartnerStatus = Literal["successful", "all_bills_on_track", "with_exceptions", "failures"]

_PERIODS_LOOKED_BACK = 36
"""How far back the consolidated bill that was paid last is looked for."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One account's; `owed` is zero when nothing is."""

    status: Status
    owed: Money
    last_paid: Money | None


@dataclass(frozen=True, slots=True)
class OpenLine:
    """What one account still owes of one bill, tax included."""

    bill: records.Bill
    owed: Money
    past_due: bool
    lines: tuple[Line, ...]
    """What it was billed for; of an annual invoice only where `load_open_lines` was asked for it."""


class AmountView(MoneyView):
    """What is owed; where nothing is, what was paid last."""

    kind: Literal["owed", "paid"]


def load_standings(
    scope: Scope, distributor: Node, accounts: Iterable["Account"], today: date, *, last_paid: bool = True
) -> dict[str, Standing]:
    """The standing of these accounts of one distributor, by account id.

    It reads every open bill of the distributor once, and nothing more when none is open and nobody was billed
    yet. Without `last_paid` that part stays None and costs nothing.
    """
    listed = list(accounts)
    if not listed:
        return {}
    wanted = {account.account_id for account in listed}
    open_lines = load_open_lines(scope, distributor, today, only=wanted.__contains__)
    payer = get_distributor(scope, distributor.distributor)
    paid = _last_paid(scope, payer, listed, open_lines, today) if last_paid else {}
    return {
        account.account_id: _standing(
            account, open_lines.get(account.account_id, []), paid.get(account.account_id), payer.currency
        )
        for account in listed
    }


def load_open_lines(
    scope: Scope,
    distributor: Node,
    today: date,
    *,
    only: Callable[[str], bool] | None = None,
    with_lines: bool = False,
) -> dict[str, list[OpenLine]]:
    """By account id, what is open, the earliest due first: of the accounts that the scope covers and `only`
    picks.

    Removed accounts are among them as long as something of theirs is unpaid.
    """
    found: dict[str, list[OpenLine]] = defaultdict(list)
    for bill in records.list_open_bills(scope, distributor):
        if bill.account_id is not None and only is not None and not only(bill.account_id):
            continue
        past_due = is_past_due(bill, today)
        for share in _shares(scope, bill, int(bill.outstanding_minor), with_lines=with_lines):
            node = share.account
            if share.minor > 0 and (only is None or only(node.account)) and scope.covers(node):
                owed = Money(share.minor, bill.currency)
                found[node.account].append(OpenLine(bill, owed, past_due, share.lines))
    return found


def load_owed(scope: Scope, distributor: Node, currency: str) -> Money:
    """All that a distributor still owes; for a user with accessible accounts only, what is owed for those."""
    if scope.accessible is None:
        bills = records.list_open_bills(scope, distributor)
        return total_of((Money(int(bill.outstanding_minor), bill.currency) for bill in bills), currency)
    open_lines = load_open_lines(scope, distributor, date.min)
    return total_of((line.owed for owed in open_lines.values() for line in owed), currency)


def is_past_due(bill: records.Bill, today: date) -> bool:
    """Whether an open bill should have been paid by now, whatever the overdue job has done."""
    return bill.state == "overdue" or (
        bill.state == "issued" and bill.due_on is not None and bill.due_on < today
    )


def partner_billing_status(standings: Iterable[Standing]) -> PartnerStatus:
    """Of a partner row, over its accounts; those on trial have no part in it."""
    statuses = [standing.status for standing in standings if standing.status != "trial"]
    if "overdue" not in statuses:
        return "all_bills_on_track" if "due" in statuses else "successful"
    return "failures" if set(statuses) == {"overdue"} else "with_exceptions"


def amount(standings: Iterable[Standing]) -> AmountView | None:
    """What these accounts owe together; where nothing, what they paid last; None if they never did."""
    listed = list(standings)
    if owed := [standing.owed for standing in listed if standing.owed.minor]:
        return _amount("owed", total_of(owed, owed[0].currency))
    if paid := [standing.last_paid for standing in listed if standing.last_paid is not None]:
        return _amount("paid", total_of(paid, paid[0].currency))
    return None


def _amount(kind: Literal["owed", "paid"], value: Money) -> AmountView:
    return AmountView(kind=kind, **money(value).model_dump())


def _standing(account: "Account", open_lines: list[OpenLine], paid: Money | None, currency: str) -> Standing:
    owed = total_of((line.owed for line in open_lines), currency)
    return Standing(_status(account, open_lines), owed, paid)


def _status(account: "Account", open_lines: list[OpenLine]) -> Status:
    if open_lines:
        return "overdue" if any(line.past_due for line in open_lines) else "due"
    if account.subscribed_on is None:
        return "trial"
    return "none" if account.first_billed_on is None else "current"


def _last_paid(
    scope: Scope,
    distributor: "Distributor",
    accounts: list["Account"],
    open_lines: Mapping[str, list[OpenLine]],
    today: date,
) -> dict[str, Money]:
    """What each account paid last: by itself, or as its part of the consolidated bill that was paid last."""
    found: dict[str, tuple[date, Money]] = {}
    for account in accounts:
        if (paid := account.last_paid) is not None:
            found[account.account_id] = date.fromisoformat(paid["on"]), Money(paid["minor"], paid["currency"])
    wanted = {
        account.account_id
        for account in accounts
        if account.first_billed_on is not None or account.account_id in open_lines
    }
    if wanted:
        for bill in _paid_last(scope, distributor, today):
            paid_on = bill.paid_on or bill.period_end_on
            for share in _shares(scope, bill, int(bill.paid_minor)):
                account_id = share.account.account
                if account_id in wanted and paid_on >= found.get(account_id, (date.min,))[0]:
                    found[account_id] = paid_on, Money(share.minor, bill.currency)
    return {account_id: paid for account_id, (_, paid) in found.items()}


def _paid_last(scope: Scope, distributor: "Distributor", today: date) -> list[records.Bill]:
    """The paid consolidated bills of the latest period that has one: one bill for each method used in it."""
    end = period_containing(int(distributor.payment_day), today).start
    for _ in range(_PERIODS_LOOKED_BACK):
        if end <= distributor.billed_from_on:
            break
        bills = records.list_consolidated_bills(scope, distributor.node, end)
        if paid := [bill for bill in bills if bill.state in ("paid", "credited") and bill.paid_minor]:
            return paid
        end = period_ending(int(distributor.payment_day), end).start
    return []


@dataclass(frozen=True, slots=True)
class _Share:
    """What of an amount on a bill falls on one of its accounts, in minor units."""

    account: Node
    minor: int
    lines: tuple[Line, ...]


def _shares(scope: Scope, bill: records.Bill, minor: int, *, with_lines: bool = False) -> Iterator[_Share]:
    """Share `minor` units of a bill out among its accounts: in proportion to their gross, summing exactly.

    An annual invoice's account is known without reading its lines, so they are there only `with_lines`.
    """
    distributor = bill.node.distributor
    if bill.account_id is not None:
        parts = records.list_parts(scope, bill) if with_lines else ()
        listed = tuple(line for part in parts for line in lines.lines_of(part))
        yield _Share(Node(distributor, bill.partner_id or "", bill.account_id), minor, listed)
        return
    by_account: dict[str, list[Line]] = defaultdict(list)
    for part in records.list_parts(scope, bill):
        for line in lines.lines_of(part):
            by_account[line.account_id].append(line)
    in_order = (line for of_account in by_account.values() for line in of_account)
    gross = gross_by_account(in_order, lines.total_of_bill(bill))
    weights = [each.minor for each in gross.values()]
    if bill.credited_minor:
        # What was credited to single accounts is theirs; the rest of the credit is everybody's.
        credited = credits.net_by_account(records.list_credit_notes(scope, bill.node, bill.reference or ""))
        left = [
            sum(line.amount for line in of_account) - credited.get(account_id, 0)
            for account_id, of_account in by_account.items()
        ]
        weights = left if any(left) else weights
    shares = weights if minor == bill.total_minor else allocate(minor, weights)
    for (account_id, of_account), share in zip(by_account.items(), shares, strict=True):
        yield _Share(Node(distributor, of_account[0].partner_id, account_id), share, tuple(of_account))
