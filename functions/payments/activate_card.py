"""PUT /v1/billing/cards/{card_id}/activate

From now on consolidated bills are charged to this card. Bills whose charge has failed are tried with it at once.
"""

from portal.journal import Activity, Entry
from portal.operation import DISTRIBUTORS, Call, operation
from portal.payments import cards, views
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call) -> views.Card:
    payer, card = cards.get_payer_and_card(call)
    writes, messages = cards.activated(call.scope, payer, card, call.now)
    said = f"Bills are charged to the card {cards.named(card)}"
    entry = Entry(Activity.BILLING_DETAILS_UPDATED, payer.node, said)
    call.commit(*writes, audit=[entry] if writes else (), send=messages)
    return views.card(card, payer, call.now.date())
