"""POST /v1/billing/cards

Begins to add a card: answers a set-up intent, with which the payer's browser hands the card to the payment provider. No card
number ever comes here. The card is on the list once the provider has told of it; the first one is charged from then on.
Repeated within a day with its Idempotency-Key, the request is answered with the same set-up intent.
"""

from portal.journal import Activity, Entry
from portal.operation import DISTRIBUTORS, Call, operation
from portal.payments import cards, payers, views
from portal.permissions import Permission
from portal.table import Check


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS, status=201)
def handler(call: Call) -> views.CardSetUp:
    payer = payers.payer_of(call)
    begun = cards.begin(call, payer)
    entry = Entry(Activity.BILLING_DETAILS_UPDATED, payer.node, "Began to add a card")
    call.commit(Check(payer), audit=[entry])
    return views.card_set_up(begun)
