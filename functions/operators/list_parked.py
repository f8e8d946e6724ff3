"""GET /v1/operator/parked

Bills that a guard rail stopped, and distributors whose books reconciliation found wrong, the latest first: what waits
for an operator or, if asked for, what was released. Issued bills are among them whose money the payment provider has given
back, or may have to (`refunded_at_provider`, `disputed_at_provider`), and bank transfers to the provider that pay no bill as
they are (`transfer_to_be_looked_at`): less than was asked for, or too much, too late or for nothing.
"""

from typing import Literal

from portal.billing.records import get_bill_at
from portal.operation import OPERATORS, Call, operation
from portal.operators import records, views
from portal.paging import Page, PageQuery
from portal.permissions import Permission
from portal.tree import Node


class Query(PageQuery):
    state: Literal["waiting", "released"] = "waiting"


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS)
def handler(call: Call, query: Query) -> Page[views.ParkedBill]:
    def show(parked: records.Parked) -> views.ParkedBill:
        of = Node(parked.distributor_id)
        return views.parked_bill(
            parked, get_bill_at(call.scope, of, parked.bill_sk) if parked.bill_sk else None
        )

    rows = [parked for parked in records.list_parked(call.scope) if parked.state == query.state]
    return call.page(rows, query, key=lambda parked: (parked.parked_id,), show=show, descending=True)
