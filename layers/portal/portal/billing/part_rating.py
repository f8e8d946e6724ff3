"""Rating a consolidated bill part by part: what becomes of each account on its roster.

A part is written once per rating, under its version, and what was written is what counts: a copy of the run
that finds a part rated takes it as it is. How far the bill is rated, and the sums so far, are noted on the
bill every few parts.

Until the bill is issued its days stay correctable. So before it is, the usage of all of its accounts is looked
at once more, and if some was counted anew since it was rated, or has to be, the bill is gone through again:
parts with such accounts are rated anew, the others are taken as they are. An engine that goes on and on
telling of days long past holds a bill up a few times, not for ever. A bill that is issued after its payment day is
gone through again likewise where an account that was to pay for growth has ended on that day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from portal.accounts.records import Account, Renewal, find_accounts_at, find_renewals
from portal.billing import annual, digests, lines, true_ups
from portal.billing.account_usage import account_usages
from portal.billing.drafts import price_book_of
from portal.billing.guard_rails import reasons_to_park
from portal.billing.issue import midnight
from portal.billing.parking import UNPRICED
from portal.billing.rating import AccountUsage, Line, PriceBook, Rated, UnpricedService, rate_period
from portal.billing.records import Bill, BillPart, Usage, get_part, list_parts, list_usages
from portal.billing.snapshot import is_settled, settle_usage
from portal.billing.weighing import Weighing, load_weighing
from portal.change import Change
from portal.consumer import Work
from portal.money import Money
from portal.partners.records import find_partners_at
from portal.periods import Period, subscribed_days
from portal.scope import EVERYTHING
from portal.table import Check, Update, settled
from portal.tree import Node

_PARTS_BETWEEN_NOTES = 10
_MOST_RECOUNTS = 3


class _OutOfTime(Exception):
    """The rest is for the next invocation; what was settled of the part stays settled."""


@dataclass(slots=True)
class _Tally:
    """The sums over the parts rated so far, beginning with what is noted on the bill."""

    rated_to: int
    net_minor: int
    line_count: int
    concerns: set[str]
    follow_up_parts: list[int]
    parts_digest: str | None

    @classmethod
    def noted(cls, bill: Bill) -> "_Tally":
        return cls(
            int(bill.rated_to),
            int(bill.net_minor),
            int(bill.line_count),
            set(bill.concerns or ()),
            list(bill.follow_up_parts or ()),
            bill.parts_digest,
        )

    def add(self, part: BillPart, currency: str) -> None:
        self.rated_to += 1
        self.parts_digest = digests.with_part(self.parts_digest, part)
        on_part = list(lines.lines_of(part))
        self.net_minor += sum(line.amount for line in on_part)
        self.line_count += len(on_part)
        # Accounts stand in one part only, so what is wrong with lines shows within their part.
        self.concerns.update(reasons_to_park(on_part, Money.zero(currency), (), 1))
        if any(entry.get("reason") == "parked" for entry in part.roster):
            self.concerns.add(UNPRICED)
        if any(line.kind == "true_up" for line in on_part) or any(
            {"first", "last"} & entry.keys() for entry in part.roster
        ):
            self.follow_up_parts.append(self.rated_to)

    def note(self) -> Change:
        return Change(
            rated_to=self.rated_to,
            net_minor=self.net_minor,
            line_count=self.line_count,
            concerns=sorted(self.concerns) or None,
            follow_up_parts=self.follow_up_parts or None,
            parts_digest=self.parts_digest,
        )


def rate_parts(work: Work, bill: Bill) -> None:
    """Go on until all parts are rated or time is short.

    Raises:
        Contended: a copy of this run was faster.
    """
    terms = _terms(work, bill)
    tally = _Tally.noted(bill)
    for number in range(tally.rated_to + 1, int(bill.part_count) + 1):
        try:
            part = settled(partial(_rated_part, terms, number))
        except _OutOfTime:
            break
        tally.add(part, bill.currency)
        if tally.rated_to % _PARTS_BETWEEN_NOTES == 0:
            work.commit(Update(bill, tally.note()))
        if work.time_is_short:
            break
    if tally.rated_to != bill.rated_to:
        work.commit(Update(bill, tally.note()))


def is_outdated(work: Work, bill: Bill) -> bool:
    """Whether a bill that is rated as a whole should be gone through again.

    The engine has told of its period, or it is issued so late that the growth of an account that ended on its last day
    is not owed any more.
    """
    recounts, is_late = bill.recounts < _MOST_RECOUNTS, work.now.date() > bill.period_end_on
    if not recounts and not is_late:
        return False
    terms = _terms(work, bill)
    return any(
        (recounts and _is_outdated(terms, part)) or (is_late and true_ups.grew_and_ended(bill, part))
        for part in list_parts(EVERYTHING, bill)
    )


@dataclass(frozen=True, slots=True)
class _Terms:
    """What all accounts of a bill are rated by."""

    work: Work
    bill: Bill
    price_book: PriceBook
    weighing: Weighing
    partners: dict[str, dict[str, str]] = field(default_factory=dict)
    """How the partners met so far are called."""

    @property
    def period(self) -> Period:
        return Period(self.bill.period_start_on, self.bill.period_end_on)


def _terms(work: Work, bill: Bill) -> _Terms:
    return _Terms(work, bill, price_book_of(bill), load_weighing(EVERYTHING, bill.node))


def _is_outdated(terms: _Terms, part: BillPart) -> bool:
    """Whether the usage of an account is not any more what it was rated by, or is going to be counted anew."""
    counted = dict(zip(_nodes(part), part.snapshots or (), strict=False))
    usages = list_usages(EVERYTHING, [node for node, snapshots in counted.items() if snapshots is not None])
    return any(
        usage.snapshots != counted[node]
        or not is_settled(usage, terms.period.end, terms.work.now, terms.weighing)
        for node, usage in usages.items()
    )


def _nodes(part: BillPart) -> list[Node]:
    distributor = part.node.distributor
    return [Node(distributor, entry["partner_id"], entry["account_id"]) for entry in part.roster]


def _rated_part(terms: _Terms, number: int) -> BillPart:
    part = get_part(EVERYTHING, terms.bill, number)
    is_rated = part.rated_in >= terms.bill.rating
    if is_rated and not (
        terms.bill.recounts and (_is_outdated(terms, part) or true_ups.grew_and_ended(terms.bill, part))
    ):
        return part
    nodes = _nodes(part)
    accounts = find_accounts_at(EVERYTHING, nodes)
    usages = _settled_usages(terms, accounts)
    renewals = _renewals(terms, [node for node, each in accounts.items() if _may_owe_a_term(terms, each)])
    roster: list[dict[str, Any]] = []
    on_part: list[Line] = []
    for node, entry in zip(nodes, part.roster, strict=True):
        account = accounts.get(node)
        rated, reason = _rate(terms, account, usages.get(node), renewals.get(node))
        roster.append(_settled_entry(entry, account, reason, terms, renewals.get(node)))
        on_part += rated
    rated_as = Change(
        roster=roster,
        lines=[lines.stored_line(line) for line in on_part],
        partners=_partners(terms, on_part, accounts.values()),
        rated_in=int(terms.bill.rating),
        snapshots=[int(usages[node].snapshots) if node in usages else None for node in nodes],
    )
    # A rated part changes only while the bill is not issued yet; one that is not rated keeps it from being issued.
    terms.work.commit(Update(part, rated_as), *([Check(terms.bill)] if is_rated else []))
    return part


def _partners(terms: _Terms, on_part: list[Line], accounts: Iterable[Account]) -> dict[str, dict[str, str]]:
    """How the partners of the billed accounts are called now, for the bill's documents; of one that was
    removed since, how it was called when its account was purged."""
    met = {line.partner_id for line in on_part}
    new = (terms.bill.node.child(partner_id) for partner_id in met - terms.partners.keys())
    for each in find_partners_at(EVERYTHING, new).values():
        terms.partners[each.partner_id] = {"name": each.name, "code": each.partner_code}
    for account in accounts:
        if account.partner_called:
            terms.partners.setdefault(account.node.partner, account.partner_called)
    return {partner_id: terms.partners[partner_id] for partner_id in sorted(met & terms.partners.keys())}


def _rate(
    terms: _Terms, account: Account | None, usage: Usage | None, renewal: Renewal | None
) -> tuple[tuple[Line, ...], str | None]:
    """The account's lines, or why it has none."""
    if account is None:
        return (), "removed"
    used, grown = account_usages(account, usage, terms.work.now), Rated(())
    try:
        rated = rate_period(used, terms.price_book, terms.period)
        for span in _growing(terms, used):
            grown = true_ups.rate_growth(span, account.node, renewal, terms.period.end, terms.price_book)
    except UnpricedService:
        return (), "parked"
    on_bill = rated.lines + grown.lines
    return on_bill, None if on_bill else rated.excluded_reason


def _growing(terms: _Terms, used: Iterable[AccountUsage]) -> list[AccountUsage]:
    """The span in which a true-up is due on the payment date, if there is one."""
    return [span for span in used if true_ups.may_grow(span, terms.period.end)]


def _settled_entry(
    entry: Mapping[str, Any],
    account: Account | None,
    reason: str | None,
    terms: _Terms,
    renewal: Renewal | None,
) -> dict[str, Any]:
    """The roster's entry, with what became of the account."""
    settled_as: dict[str, Any] = {
        "account_id": entry["account_id"],
        "partner_id": entry["partner_id"],
        "outcome": "excluded" if reason else "billed",
    }
    if reason:
        settled_as["reason"] = reason
    if account is None:
        return settled_as
    if not reason:
        settled_as |= {"name": account.name, "email": account.email}
        if account.first_billed_on is None:
            settled_as["first"] = True
    if (
        account.ended_on is not None
        and account.ended_on <= terms.period.end
        and account.finally_billed_at is None
        # A term that is not invoiced yet waits for an operator, and its invoice for the account.
        and (renewal is None or renewal.due_at is None or renewal.due_at.date() >= account.ended_on)
    ):
        settled_as["last"] = True
    return settled_as


def _settled_usages(terms: _Terms, accounts: Mapping[Node, Account]) -> dict[Node, Usage]:
    """The usage of the accounts that can have a line, with all of the period's days counted."""
    wanted = [node for node, account in accounts.items() if _can_have_a_line(terms, account)]
    usages = list_usages(EVERYTHING, wanted)
    for node, usage in usages.items():
        if is_settled(usage, terms.period.end, terms.work.now, terms.weighing):
            continue
        usages[node] = settle_usage(node, terms.period.end, terms.work.now, terms.weighing) or usage
        if terms.work.time_is_short:
            raise _OutOfTime
    return usages


def _renewals(terms: _Terms, nodes: list[Node]) -> dict[Node, Renewal]:
    """The renewals of annual accounts, once the terms that began before the payment date are invoiced."""
    renewals = find_renewals(EVERYTHING, nodes)
    for node, renewal in renewals.items():
        if renewal.due_at is not None and renewal.due_at.date() < terms.period.end:
            annual.invoice_terms(terms.work, node, midnight(terms.period.end))
            renewals |= find_renewals(EVERYTHING, [node])
    return renewals


def _can_have_a_line(terms: _Terms, account: Account) -> bool:
    used = account_usages(account, None, terms.work.now)
    return bool(_growing(terms, used)) or any(
        span.plan == "monthly"
        and span.subscribed_on is not None
        and subscribed_days(terms.period, span.subscribed_on, span.ended_on).days > 0
        for span in used
    )


def _may_owe_a_term(terms: _Terms, account: Account) -> bool:
    """Whether the annual job may have to catch up on the account before this bill."""
    used = account_usages(account, None, terms.work.now)
    has_ended = account.ended_on is not None and account.ended_on <= terms.period.end
    return bool(_growing(terms, used)) or (
        has_ended and account.finally_billed_at is None and any(span.plan == "annual" for span in used)
    )
