"""DELETE /v1/billing/cards/{card_id}

Removes a card, here at once and then at the payment provider. The one that bills are charged to goes only as the last one,
and when no bill is still to be charged to it.
"""

from portal.journal import Activity, Entry
from portal.operation import DISTRIBUTORS, Call, operation
from portal.payments import cards
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call) -> None:
    payer, card = cards.get_payer_and_card(call)
    writes, messages = cards.removed(call.scope, payer, card, call)
    said = f"Removed the card {cards.named(card)}"
    entry = Entry(Activity.BILLING_DETAILS_UPDATED, payer.node, said)
    call.commit(*writes, audit=[entry], send=messages)
