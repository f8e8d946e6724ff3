"""PUT /v1/operator/distributors/{distributor_id}/prices

Sets a distributor's prices from a day on: tomorrow or later, its first ones from its first billing period on. A
period or term is rated at the prices in effect on its first day. Prices that are not in effect yet are
replaced by others for the same day.
"""

from datetime import date

from portal import keys
from portal.billing import prices, records, views
from portal.change import Change
from portal.distributors.records import get_distributor
from portal.journal import Activity, Entry
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission
from portal.table import Put, Update
from portal.tree import VENDOR


class NewPrices(prices.PriceTerms):
    effective_on: date


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS)
def handler(call: Call, body: NewPrices) -> views.Prices:
    distributor = get_distributor(call.scope, call.path["distributor_id"])
    versions = records.list_price_books(call.scope, distributor.node)
    prices.check_new(distributor, versions, body, body.effective_on, call.now.date())
    terms = body.model_dump(mode="json", exclude={"effective_on"}, exclude_unset=True)
    # So that the currency stays what was checked: payment details that change it meanwhile begin again.
    call.commit(Update(distributor, Change()))
    version = next((each for each in versions if each.effective_on == body.effective_on), None)
    if version:
        call.commit(Update(version, Change(prices=terms)))
    else:
        at = keys.node(distributor.node), keys.prices(body.effective_on)
        version = records.PriceBookRecord(*at, effective_on=body.effective_on, prices=terms)
        call.commit(Put(version))
    said = f"Set the prices of {distributor.name} from {body.effective_on} on"
    nodes = (VENDOR, distributor.node)
    call.commit(
        audit=[
            Entry(Activity.BILLING_DETAILS_UPDATED, node, said, distributor.email, distributor.node)
            for node in nodes
        ]
    )
    return views.prices(version)
