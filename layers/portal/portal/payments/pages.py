"""Hosted payment pages: at most one that is open for a bill, for what is owed on it.

That the provider is going to be asked for one is written down first, in a transaction that a charge of the same bill cannot
pass by. Nobody gets to know a page that is not stored, so nobody pays on one that was lost on the way.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from portal import keys
from portal.adapters import stripe
from portal.adapters.stripe_amounts import BANK_TRANSFERS
from portal.billing.payments import receiving_from_provider
from portal.billing.records import Bill, Overtaken, find_payment, get_bill_at
from portal.billing.rules import PaymentInProgress, check_not_in_flight
from portal.change import Change
from portal.journal import Message
from portal.money import Money
from portal.payments.provider import answering
from portal.payments.records import Payer, PaymentPage, find_charge, find_page, find_payer
from portal.scope import EVERYTHING
from portal.settings import settings
from portal.table import Check, Put, Update, Write, settled

if TYPE_CHECKING:
    from portal.consumer import Work
    from portal.operation import Call
    from portal.tree import Node

LASTS = timedelta(hours=12)
_WORTH_SHOWING = timedelta(minutes=10)
"""A page that ends sooner is replaced by a new one."""
_LOOKED_AT_AGAIN_AFTER = timedelta(days=1)
"""Money that is on its way is looked for so often, should the provider tell nobody that it has come."""
_TRANSFERS_WAITED_FOR = timedelta(days=3)
"""So long after a page was asked for a bank transfer that was announced on it, and of which nothing has arrived, keeps a
card from being charged.
"""
_ASKED_ANEW_FOR = timedelta(minutes=10)
"""So long after the provider was asked for a page it is asked for the same one again, if no answer was stored."""


_CLOSED = Change(state="closed", look_at=None)


class SomethingIsPaid(PaymentInProgress):
    detail = "Something was paid on this bill's payment page: try again when it has arrived."

    @classmethod
    def code(cls) -> str:
        return PaymentInProgress.code()


# What a user does


def is_usable(call: "Call", bill: Bill, page: PaymentPage | None) -> bool:
    """Whether the bill's page can be paid on and asks for what is owed. Where not, nobody can pay on it any more.

    Raises:
        SomethingIsPaid: on the page.
        PaymentProviderUnavailable, PaymentProviderRefused: the provider does not say.
    """
    if page is None or page.page_id is None or page.state not in ("open", "processing"):
        return False
    with answering():
        found = stripe.get_page(page.page_id)
        ends_at = page.offered_until or call.now
        if found.status == "open" and _is_wanted(bill, page) and ends_at - call.now >= _WORTH_SHOWING:
            return True
        if _is_under_way(_closed(found), give_up_transfers=True):
            # It is looked into, should the provider have told nobody.
            call.commit_now(send=[_look_into(bill)])
            raise SomethingIsPaid
    return False


def ask(call: "Call", bill: Bill, payer: Payer, page: PaymentPage | None) -> PaymentPage:
    """Write down that the provider is going to be asked for a page for what is owed on the bill; `page` is the one before.

    Raises:
        PaymentInProgress: a card is being charged for it.
        PaymentProviderUnavailable, PaymentProviderRefused: there may be an earlier page that nobody knows.
    """
    charge = find_charge(call.scope, bill)
    check_not_in_flight(charge)
    if page is not None and page.state == "asked" and _is_wanted(bill, page) and _is_fresh(page, call.now):
        return page
    asked = Change(state="asked", amount_minor=bill.outstanding_minor, asked_at=call.now)
    writes: list[Write] = [Check(bill)]
    if charge is not None:
        # Written, not only checked: a charge that is begun at the same moment has to see the page.
        writes.append(Update(charge, Change()))
    if page is None:
        first = keys.bill_parts(bill.node, bill.sk), keys.PAYMENT_PAGE
        page = PaymentPage(*first, created_at=call.now, **asked)
        call.commit_now(*writes, Put(page, taken=Overtaken))
        return page
    fresh = Change(number=int(page.number) + 1, page_id=None, url=None, offered_until=None, look_at=None)
    call.commit_now(*writes, Update(page, asked | fresh))
    with answering():
        _close_lost(bill, payer, but=int(page.number))
    return page


def offered(bill: Bill, payer: Payer, page: PaymentPage) -> Change:
    """The page that the provider makes, or has made, of what was written down.

    Raises:
        PaymentProviderUnavailable, PaymentProviderRefused: there may be one that nobody knows.
        AmountRefused: there is none.
    """
    kinds = ["card", "paypal"]
    above = settings.bank_transfer_above.get(bill.currency) if bill.currency in BANK_TRANSFERS else None
    amount = Money(int(page.amount_minor), bill.currency)
    if above is not None and amount > Money.parse(above, bill.currency):
        kinds.append("customer_balance")
    ends_at = page.asked_at + LASTS
    with answering():
        made = stripe.create_page(
            payer.customer_id,
            bill.reference or "",
            f"Bill {bill.reference}",
            amount.minor,
            amount.currency,
            kinds=kinds,
            back_to=f"{settings.portal_url}/billing/history/{bill.reference}",
            expires_at=ends_at,
            key=f"{bill.reference}-{page.number}",
            metadata={
                "distributor_id": bill.node.distributor,
                "bill_sk": bill.sk,
                "number": str(page.number),
            },
        )
    return Change(state="open", page_id=made.page_id, url=made.url, offered_until=ends_at, look_at=ends_at)


# What the provider tells, and what becomes of the bill otherwise


def settle(work: "Work", distributor: "Node", bill_sk: str) -> None:
    """Look what has become of a bill's page: what was paid on it is recorded, once; one that asks for something else than
    what is owed by now is closed.

    Raises:
        Unknown: the provider does not answer.
    """
    settled(lambda: _settle(work, get_bill_at(EVERYTHING, distributor, bill_sk)))


def withdraw(work: "Work", bill: Bill) -> PaymentPage | None:
    """Before a card is charged: nobody can pay on the bill's page any more. Whoever goes on checks the page that this
    returns in the same transaction; None where there never was one.

    A bank transfer that was only announced on it is waited for, but not for ever.

    Raises:
        SomethingIsPaid: on the page; what becomes of it is told.
        Unknown: the provider does not answer.
    """
    page = find_page(EVERYTHING, bill)
    if page is None or page.state in ("closed", "paid"):
        return page
    if page.state == "asked":
        # First written, then closed: whoever was about to store it finds it gone.
        work.commit(Update(page, _CLOSED))
        _close_lost(bill, find_payer(EVERYTHING, bill.node))
        return page
    found = _closed(stripe.get_page(page.page_id or ""))
    if _is_under_way(found, give_up_transfers=work.now - page.asked_at >= _TRANSFERS_WAITED_FOR):
        raise SomethingIsPaid
    work.commit(Update(page, _CLOSED))
    return page


def _settle(work: "Work", bill: Bill) -> None:
    page = find_page(EVERYTHING, bill)
    if page is None or page.state in ("closed", "paid"):
        return
    if page.page_id is None:
        if not _is_wanted(bill, page):
            withdraw(work, bill)
        return
    found = stripe.get_page(page.page_id)
    if found.status == "open" and not _is_wanted(bill, page):
        found = _closed(found)
    if found.payment_status == "paid" and found.intent_id:
        _receive(work, bill, page, stripe.get_intent(found.intent_id))
        return
    state = "open" if found.status == "open" else "processing" if _is_under_way(found) else "closed"
    is_due = page.look_at is None or page.look_at <= work.now
    if state == "closed":
        work.commit(Update(page, _CLOSED))
    elif state != page.state or is_due:
        ends_at = page.offered_until or work.now
        later = ends_at if ends_at > work.now else work.now + _LOOKED_AT_AGAIN_AFTER
        work.commit(Update(page, Change(state=state, look_at=later)))


def _receive(work: "Work", bill: Bill, page: PaymentPage, intent: stripe.Intent) -> None:
    paid = Update(page, Change(state="paid", look_at=None))
    if find_payment(EVERYTHING, bill, intent.intent_id) is not None:
        work.commit(paid)
        return
    amount = Money(intent.received_minor, intent.currency)
    received = receiving_from_provider(bill, intent.intent_id, amount, "payment_page", work.now)
    work.commit(paid, *received.writes, send=received.messages)


def _is_wanted(bill: Bill, page: PaymentPage) -> bool:
    """Whether it asks for just what is owed."""
    return bill.is_open and page.amount_minor == bill.outstanding_minor


def _is_fresh(page: PaymentPage, now: datetime) -> bool:
    return bool(now - page.asked_at < _ASKED_ANEW_FOR)


def _closed(found: stripe.Page) -> stripe.Page:
    """The page as it is once nobody can pay on it any more."""
    if found.status != "open":
        return found
    try:
        return stripe.close_page(found.page_id)
    except stripe.Refused:
        # Somebody was faster: it is paid on, or its time is over.
        return stripe.get_page(found.page_id)


def _is_under_way(found: stripe.Page, *, give_up_transfers: bool = False) -> bool:
    """Whether money has come, or may come, of a page on which nobody can pay any more.

    With `give_up_transfers` a bank transfer that was only announced counts no longer: its intent is cancelled. One of which
    a part has arrived does.
    """
    if found.payment_status == "paid":
        return True
    intent = stripe.get_intent(found.intent_id) if found.status == "complete" and found.intent_id else None
    if intent is None:
        return False
    if intent.status == "requires_action" and give_up_transfers and not intent.arrived_minor:
        try:
            stripe.cancel_intent(intent.intent_id)
        except stripe.Refused:
            return True
        return False
    return intent.status in ("requires_action", "processing", "succeeded")


def _close_lost(bill: Bill, payer: Payer | None, but: int | None = None) -> None:
    """Close pages of the bill that the provider has made and that were never stored, `but` the one of this number."""
    for each in stripe.list_open_pages(payer.customer_id) if payer is not None else ():
        of_it = each.metadata.get("reference") == bill.reference
        if of_it and each.metadata.get("number") != str(but):
            _closed(each)


def _look_into(bill: Bill) -> Message:
    body = {"kind": "page", "distributor_id": bill.node.distributor, "bill_sk": bill.sk}
    return Message("Payments", bill.node, body)
