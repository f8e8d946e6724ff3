"""Queue: Payments

Has a bill paid from the credit balance and charged to the active card, looks into what the payment provider has told,
closes payment pages that ask for too much, looks up those of which nothing was told, and lets go of removed cards.
"""

from typing import Literal

from pydantic import AwareDatetime, BaseModel

from portal.billing import credit_balance
from portal.consumer import Work, consumer
from portal.payments import cards, charging, pages, taken_back, transfers
from portal.tree import Node


class PaymentDue(BaseModel):
    kind: Literal["bill", "told", "page", "detach"]
    distributor_id: str | None = None
    bill_sk: str | None = None
    card_id: str | None = None
    about: str = ""
    """What kind of thing the payment provider has told of."""
    id: str = ""
    customer_id: str | None = None
    charge_id: str | None = None
    event_id: str = ""
    told_at: AwareDatetime | None = None


@consumer
def handler(work: Work, message: PaymentDue) -> None:
    distributor, bill_sk = Node(message.distributor_id or ""), message.bill_sk or ""
    match message.kind, message.about:
        case "bill", _:
            credit_balance.apply(work, distributor, bill_sk)
            charging.charge(work, distributor, bill_sk)
        case "page", _:
            pages.settle(work, distributor, bill_sk)
        case "detach", _:
            cards.detach(work, message.card_id or "")
        case "told", "payment_intent":
            charging.settle(work, message.id)
        case "told", "transfer":
            transfers.look_into_part(work, message.id, message.event_id, message.told_at or work.now)
        case "told", "cash_balance":
            transfers.look_into_balance(
                work, message.id, message.customer_id, message.event_id, message.told_at or work.now
            )
        case "told", "setup_intent":
            cards.settle_set_up(work, message.id)
        case "told", "payment_method":
            cards.settle_card(work, message.id, message.customer_id)
        case "told", "checkout.session" if message.distributor_id:
            pages.settle(work, distributor, bill_sk)
        case "told", "charge" | "dispute":
            taken_back.look_into(work, message.charge_id or "", message.event_id, message.told_at or work.now)
