"""Reconciling a distributor's books, from where an earlier invocation has left off to the end, and what follows from it."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from pydantic import AwareDatetime, BaseModel

from portal.billing.holds import placed
from portal.billing.reconciliation import account_steps, bill_steps, ledger_steps, number_steps
from portal.billing.reconciliation.findings import Finding, Invariant
from portal.billing.reconciliation.records import find_record
from portal.billing.reconciliation.walk import MOST_FOUND, Place, Walk, last_number
from portal.change import Change
from portal.consumer import Work
from portal.identity.records import list_users
from portal.identity.rules import permissions_at_home
from portal.journal import Message
from portal.notifications.messages import mail
from portal.operators.records import Parked, get_parked
from portal.permissions import Permission
from portal.scope import EVERYTHING
from portal.table import Update, settled
from portal.tree import VENDOR, Node

_Steps = Callable[[Walk, Place], Iterator[Place]]
_OF_A_DISTRIBUTOR: Mapping[str, _Steps] = MappingProxyType(
    {
        "bills": bill_steps.recent_bills,
        "open": bill_steps.open_bills,
        "credit notes": ledger_steps.credit_notes,
        "ledger": ledger_steps.ledger_entries,
        "accounts": account_steps.all_accounts,
        "provider": account_steps.charged_intents,
    }
)
_OF_ALL: Mapping[str, _Steps] = MappingProxyType({"numbers": number_steps.bill_numbers})


class Found(BaseModel):
    invariant: Invariant
    about: str
    said: str


class ReconciliationDue(BaseModel):
    distributor_id: str
    """Empty: what concerns all of them."""
    full: bool = False
    """From the beginning, instead of what is recent or open."""
    as_of: AwareDatetime | None = None
    place: Place = Place()
    found: list[Found] = []
    let_go: list[str] = []


def reconcile(work: Work, due: ReconciliationDue) -> ReconciliationDue | None:
    """Go on until time is short, and return what is left to do; at the end hold the distributor if anything was found."""
    of = Node(due.distributor_id)
    last_numbers = {sequence: last_number(sequence) for sequence in ("bills", "credit-notes")}
    walk = Walk(work, of, due.full, find_record(EVERYTHING, of), last_numbers)
    walk.take(Finding(each.invariant, each.about, each.said) for each in due.found)
    walk.let_go |= set(due.let_go)
    place = _go(walk, due.place)
    if place is not None:
        found = [Found.model_validate(each.text()) for each in walk.found.values()]
        return due.model_copy(update={"place": place, "found": found, "let_go": sorted(walk.let_go)})
    settled(partial(_conclude, walk))
    return None


def _go(walk: Walk, place: Place) -> Place | None:
    """Where it was left; None at the end, or once enough is found."""
    stages = _OF_ALL if walk.of == VENDOR else _OF_A_DISTRIBUTOR
    names = list(stages)
    for name in names[names.index(place.stage) if place.stage else 0 :]:
        start = place if place.stage == name else Place(stage=name)
        for reached in stages[name](walk, start):
            if walk.is_full_up:
                return None
            if walk.work.time_is_short:
                return reached
    return None


def _conclude(walk: Walk) -> None:
    hold = find_record(EVERYTHING, walk.of)
    released = set(hold.released or ()) if hold else set()
    found = [each.text() for each in walk.found.values() if each.key not in released]
    if hold is not None and walk.full and not walk.is_full_up and released - walk.let_go:
        # What was let go and is right by now would hold again.
        walk.work.commit(Update(hold, Change(released=sorted(released & walk.let_go))))
    if not found:
        return
    if hold is not None and hold.parked_id is not None:
        parked = get_parked(EVERYTHING, hold.parked_id)
        known = {each["key"] for each in parked.findings}
        more = [*parked.findings, *(each for each in found if each["key"] not in known)][:MOST_FOUND]
        if len(more) > len(known):
            walk.work.commit(Update(parked, Change(findings=more)))
        return
    parked, writes = placed(hold, walk.of, found, walk.now)
    walk.work.commit(*writes, send=_told(walk, parked))


def _told(walk: Walk, parked: Parked) -> list[Message]:
    """The mail to those of the vendor's operators who see to bills."""
    to = [
        user.email
        for user in list_users(EVERYTHING, VENDOR)
        if user.state == "active" and Permission.OPERATOR_BILLING in permissions_at_home(user, VENDOR)
    ]
    name = walk.distributor.name if walk.of != VENDOR else ""
    found = [f"{each['invariant']}, {each['about']}: {each['said']}" for each in parked.findings]
    parameters = {"distributor": name, "count": len(found), "found": found[:20]}
    dedupe = f"books-held {parked.parked_id}"
    return [mail(VENDOR, to=to, template="books_held", parameters=parameters, dedupe=dedupe)] if to else []
