"""The billing history: the bills that were issued to a distributor, as far as a user may see them."""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from portal.accounts.listing import one_or_several
from portal.billing import records
from portal.billing.views import CONSOLIDATED, BillKind, BillState, bill_state
from portal.errors import Conflict, NotFound
from portal.paging import PageQuery, SortKey
from portal.tree import Node

if TYPE_CHECKING:
    from portal.scope import Scope

_Sort = Literal[
    "issue_date", "-issue_date", "due_date", "-due_date", "amount", "-amount", "reference", "-reference"
]  # fmt: skip


MOST_EXAMINED = 1_000
"""How many bills one request looks at in the order of their issue."""
_AT_ONCE = 100


class OnlyConsolidatedBills(Conflict):
    detail = "Only consolidated bills have lines of several accounts."


class HistoryQuery(PageQuery):
    """A page of the billing history, by default the latest bills first. `from` and `to` are issue dates, both
    included.
    """

    kind: Annotated[list[BillKind], BeforeValidator(one_or_several)] | None = None
    state: Annotated[list[BillState], BeforeValidator(one_or_several)] | None = None
    from_: Annotated[date | None, Field(alias="from")] = None
    to: date | None = None
    sort: _Sort = "-issue_date"

    @property
    def is_as_issued(self) -> bool:
        """Whether it is in the order that the table has, so that only what is shown is read."""
        return self.sort == "-issue_date"

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")


def list_history(
    scope: "Scope", distributor: Node, query: HistoryQuery, today: date
) -> Iterator[records.Bill]:
    """The issued bills that the scope shows and the query admits, all of which are read."""
    return (bill for bill in records.list_bills(scope, distributor) if _is_listed(scope, bill, query, today))


def examined(
    scope: "Scope", distributor: Node, query: HistoryQuery, today: date, behind: str
) -> Iterator[tuple[str, records.Bill | None]]:
    """The bills behind a place, the latest issued first, read as they are asked for: the place of each, and itself if the
    scope shows it and the query admits it.
    """
    passes_over = query.kind or query.state or scope.accessible is not None
    at_once = _AT_ONCE if passes_over else min(query.limit + 1, _AT_ONCE)
    days = query.from_ or date.min, query.to or date.max
    if days[0] > days[1]:
        return
    references = records.list_references(scope, distributor, *days, behind=behind, at_once=at_once)
    while chunk := list(islice(references, at_once)):
        bills = records.find_bills(scope, distributor, (each.bill_sk for each in chunk))
        for each in chunk:
            bill = bills[each.bill_sk]
            yield each.distributor_sk, bill if _is_listed(scope, bill, query, today) else None


def _is_listed(scope: "Scope", bill: records.Bill, query: HistoryQuery, today: date) -> bool:
    return (
        bill.issued_on is not None
        and is_shown(scope, bill)
        and (query.kind is None or bill.bill_kind in query.kind)
        and (query.state is None or bill_state(bill, today) in query.state)
        and (query.from_ is None or bill.issued_on >= query.from_)
        and (query.to is None or bill.issued_on <= query.to)
    )


def get_issued_bill(scope: "Scope", reference: str) -> records.Bill:
    """The bill with this number.

    Raises:
        NotFound: there is none that the scope shows.
    """
    bill = records.get_bill(scope, reference)
    if bill.issued_on is None or not is_shown(scope, bill):
        raise NotFound
    return bill


def get_credit_note(scope: "Scope", reference: str) -> records.CreditNote:
    """The credit note with this number.

    Raises:
        NotFound: there is none, or its bill is one that the scope does not show.
    """
    note = records.get_credit_note(scope, reference)
    get_issued_bill(scope, note.bill_reference)
    return note


def is_shown(scope: "Scope", bill: records.Bill) -> bool:
    """A consolidated bill names all of a distributor's accounts: it is shown to those who see them all."""
    if bill.account_id is None:
        return scope.accessible is None
    return scope.covers(Node(bill.node.distributor, bill.partner_id or "", bill.account_id))


def account_names(scope: "Scope", bills: Iterable[records.Bill]) -> dict[str, str]:
    """By reference, whose each bill is: the account's name as it was when the invoice was issued."""
    listed = list(bills)
    parts = records.find_first_parts(scope, (bill for bill in listed if bill.account_id is not None))
    return {
        bill.reference: parts[bill.sk].roster[0]["name"] if bill.sk in parts else CONSOLIDATED
        for bill in listed
    }


def check_is_consolidated(bill: records.Bill) -> None:
    """Whether there is a CSV, and statements per partner.

    Raises:
        OnlyConsolidatedBills: it is an annual invoice, which is one line or a few of one account.
    """
    if bill.bill_kind != "monthly":
        raise OnlyConsolidatedBills


def sort_key(bill: records.Bill, sort: str) -> SortKey:
    """What the history is sorted by, then the number, as the numbers were given out."""
    number = (len(bill.reference), bill.reference)
    match sort.removeprefix("-"):
        case "due_date":
            return (bill.due_on.isoformat(), *number)
        case "amount":
            return (int(bill.total_minor), *number)
        case "reference":
            return number
    return (bill.issued_on.isoformat(), *number)
