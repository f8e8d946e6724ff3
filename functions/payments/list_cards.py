"""GET /v1/billing/cards

The distributor's cards, the first that was added first. One that a browser has just handed to the payment provider comes
some seconds later, once the provider has told of it.
"""

from portal import keys
from portal.operation import DISTRIBUTORS, Call, operation
from portal.paging import Page, PageQuery
from portal.payments import records, views
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call, query: PageQuery) -> Page[views.Card]:
    distributor = call.caller.portal.distributor_node
    payer = records.find_payer(call.scope, distributor)
    return call.page(
        records.list_cards(call.scope, distributor),
        query,
        key=lambda card: (keys.instant(card.created_at), card.card_id),
        show=lambda card: views.card(card, payer, call.now.date()),
    )
