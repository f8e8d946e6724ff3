"""Cards: a payer's browser hands one to the payment provider, which then tells; one of them is charged, the active one.

What is told is never believed but looked up: a card counts once the provider says that it is the distributor's.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from portal import ids, keys
from portal.adapters import stripe
from portal.billing.records import Bill, Overtaken, list_open_bills
from portal.billing.rules import PaymentInProgress, is_charged_on_issue
from portal.change import Change
from portal.errors import Conflict, FieldError, Invalid, NotFound
from portal.journal import Activity, Entry, Message
from portal.payments import rules
from portal.payments.provider import answering
from portal.payments.records import (
    Card,
    Charge,
    Customer,
    Payer,
    find_charge,
    find_customer,
    find_known_card,
    find_payer,
    get_card,
    list_cards,
)
from portal.scope import EVERYTHING, Scope
from portal.table import Check, Put, Update, Write, settled
from portal.telemetry import logger
from portal.tree import Node

if TYPE_CHECKING:
    from portal.consumer import Work
    from portal.operation import Call

_LONGEST_KEY = 255


class CardIsActive(Conflict):
    detail = "Bills are charged to this card: activate another one first."


class CardNeeded(Conflict):
    detail = "Bills that are charged to this card are not paid yet: it is the only card there is."


# What a user does


def begin(call: "Call", payer: Payer) -> stripe.SetUp:
    """A set-up intent, with which the payer's browser hands a card to the provider. One that nobody completes is nothing.

    A request that is repeated with its Idempotency-Key within a day gets the same one.

    Raises:
        PaymentProviderUnavailable, PaymentProviderRefused: there is none.
        Invalid: the Idempotency-Key is too long.
    """
    given = call.headers.get("idempotency-key", "")
    if len(given) > _LONGEST_KEY:
        raise Invalid(errors=(FieldError("Idempotency-Key", f"At most {_LONGEST_KEY} characters."),))
    hashed = hashlib.sha256(f"{call.caller.user_id} {given}".encode(errors="replace")).hexdigest()
    with answering():
        return stripe.create_set_up(
            payer.customer_id, payer.node.distributor, hashed if given else ids.new("sup", call.now)
        )


def activated(scope: Scope, payer: Payer, card: Card, now: datetime) -> tuple[list[Write], list[Message]]:
    """The card is charged from now on; bills whose charge has failed are tried with it at once."""
    if payer.active_card_id == card.card_id:
        return [], []
    writes: list[Write] = [Update(payer, Change(active_card_id=card.card_id))]
    messages = []
    for charge in _open_charges(scope, payer.node):
        if change := rules.tried_now(charge, now):
            writes.append(Update(charge, change))
            messages.append(_to_payments(payer.node, kind="bill", bill_sk=charge.bill_sk))
        elif charge.is_in_flight:
            # Written, so that an attempt that fails at this very moment is looked up again and takes the card in.
            writes.append(Update(charge, Change()))
    return writes, messages


def removed(scope: Scope, payer: Payer, card: Card, call: "Call") -> tuple[list[Write], list[Message]]:
    """The card is used no more; the provider is told afterwards.

    Raises:
        CardIsActive: there are others, of which one has to take its place first.
        CardNeeded: there are none, and something is still to be charged to it.
        PaymentInProgress: it is being charged.
    """
    charges = list(_open_charges(scope, payer.node))
    if any(charge.is_in_flight and charge.card_id == card.card_id for charge in charges):
        raise PaymentInProgress("This card is being charged: try again when the outcome is known.")
    if payer.active_card_id == card.card_id:
        if len(list_cards(scope, payer.node)) > 1:
            raise CardIsActive
        if charges:
            raise CardNeeded
    return _gone(payer, card, call.now), [_to_payments(payer.node, kind="detach", card_id=card.card_id)]


def get_payer_and_card(call: "Call") -> tuple[Payer, Card]:
    """The caller's card that the path names.

    Raises:
        NotFound: it has no such card.
    """
    node = call.caller.portal.distributor_node
    # The payer first: whatever becomes of a card after it was read here changes the payer as well.
    payer = find_payer(call.scope, node)
    if payer is None:
        raise NotFound
    return payer, get_card(call.scope, node, call.path["card_id"])


def named(card: Card) -> str:
    """As people recognize it: `visa ending in 4242`."""
    return f"{card.brand} ending in {card.last4}"


# What the provider tells


def settle_set_up(work: "Work", set_up_id: str) -> None:
    """A set-up intent has come to something: if to a card of a distributor's, it is one of its cards, the first the active
    one. Told late, twice or of a card that was removed meanwhile, it changes nothing.

    Raises:
        Unknown: the provider does not answer.
    """
    try:
        set_up = stripe.get_set_up(set_up_id)
        if set_up.status != "succeeded" or set_up.card_id is None:
            return
        details = stripe.get_card(set_up.card_id)
    except stripe.Refused as error:
        logger.warning("told of a card that is not there", extra={"reason": str(error)})
        return
    owner = find_customer(set_up.customer_id)
    if owner is None or details.customer_id != set_up.customer_id:
        logger.warning("told of a card of nobody's", extra={"set_up_id": set_up_id})
        return
    settled(lambda: _add(work, owner, details))


def settle_card(work: "Work", card_id: str, customer_id: str | None) -> None:
    """Something is told of a card: it may have been renewed by its bank, or taken from the customer in the provider's own
    pages. `customer_id` is whose it was.

    Raises:
        Unknown: the provider does not answer.
    """
    owner = find_customer(customer_id) if customer_id else None
    if owner is None:
        return
    try:
        details: stripe.CardDetails | None = stripe.get_card(card_id)
    except stripe.Refused:
        details = None
    settled(lambda: _bring_up_to_date(work, owner, card_id, details))


def detach(work: "Work", card_id: str) -> None:
    """A card was removed: the provider forgets it, too.

    Raises:
        Unknown: the provider does not answer; it is told again.
    """
    try:
        stripe.detach_card(card_id)
    except stripe.Refused as error:
        # Nobody's already: detached the last time, or by somebody else.
        logger.info("a card is detached already", extra={"card_id": card_id, "reason": str(error)})


def _add(work: "Work", owner: Customer, details: stripe.CardDetails) -> None:
    node = Node(owner.distributor_id)
    payer = find_payer(EVERYTHING, node)
    if payer is None or payer.customer_id != details.customer_id:
        return
    if find_known_card(EVERYTHING, node, details.card_id) is not None:
        return
    card = Card(
        keys.node(node),
        keys.card(details.card_id),
        card_id=details.card_id,
        brand=details.brand,
        last4=details.last4,
        exp_month=details.exp_month,
        exp_year=details.exp_year,
        created_at=work.now,
    )
    said = f"Added the card {named(card)}"
    if payer.active_card_id is not None:
        work.commit(Put(card, taken=Overtaken), Check(payer), audit=[_entry(node, said)])
        return
    writes, messages = activated(EVERYTHING, payer, card, work.now)
    audit = [_entry(node, f"{said}, to which bills are charged")]
    work.commit(Put(card, taken=Overtaken), *writes, audit=audit, send=messages)


def _bring_up_to_date(
    work: "Work", owner: Customer, card_id: str, details: stripe.CardDetails | None
) -> None:
    node = Node(owner.distributor_id)
    payer, card = find_payer(EVERYTHING, node), find_known_card(EVERYTHING, node, card_id)
    if payer is None or card is None or card.removed_at is not None:
        return
    if details is None or details.customer_id != payer.customer_id:
        said = f"The card {named(card)} was taken away at the payment provider"
        work.commit(*_gone(payer, card, work.now), audit=[_entry(node, said)])
        return
    now = Change(
        brand=details.brand, last4=details.last4, exp_month=details.exp_month, exp_year=details.exp_year
    )
    if any(getattr(card, name) != value for name, value in now.items()):
        said = f"The bank has renewed the card {named(card)}: {details.exp_month:02d}/{details.exp_year}"
        work.commit(Update(card, now), audit=[_entry(node, said)])


def _gone(payer: Payer, card: Card, now: datetime) -> list[Write]:
    """The payer is written in any case: a card that is being activated at the same moment is not removed."""
    active = None if payer.active_card_id == card.card_id else payer.active_card_id
    return [Update(card, Change(removed_at=now)), Update(payer, Change(active_card_id=active))]


def _entry(node: Node, said: str) -> Entry:
    return Entry(Activity.BILLING_DETAILS_UPDATED, node, said)


def _open_charges(scope: Scope, distributor: Node) -> Iterator[Charge]:
    """Of the bills that are charged to the active card and not settled. From an index: a bill that is being issued at this
    very moment may be missing, and then finds the card that there is.
    """
    for bill in list_open_bills(scope, distributor):
        if is_charged_on_issue(bill.bill_kind, bill.bill_method) and (charge := _charge(scope, bill)):
            yield charge


def _charge(scope: Scope, bill: Bill) -> Charge | None:
    return find_charge(scope, bill) if bill.is_open else None


def _to_payments(node: Node, **body: str) -> Message:
    return Message("Payments", node, {**body, "distributor_id": node.distributor})
