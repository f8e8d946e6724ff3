"""GET /v1/operator/parked

Bills that a guard rail stopped, the latest first: what waits for an operator or, if asked for, what was
released.
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
        return views.parked_bill(parked, get_bill_at(call.scope, Node(parked.distributor_id), parked.bill_sk))

    rows = [parked for parked in records.list_parked(call.scope) if parked.state == query.state]
    return call.page(rows, query, key=lambda parked: (parked.parked_id,), show=show, descending=True)
