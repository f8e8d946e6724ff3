"""GET /v1/operator/distributors

All distributors.
"""

from portal.distributors import listing, records, views
from portal.operation import OPERATORS, Call, operation
from portal.paging import Page
from portal.permissions import Permission


@operation(Permission.OPERATOR_DISTRIBUTORS, portals=OPERATORS)
def handler(call: Call, query: listing.DistributorsQuery) -> Page[views.DistributorRow]:
    return call.page(
        (each for each in records.list_distributors(call.scope) if listing.admits(query, each)),
        query,
        key=listing.sort_key(query),
        show=views.row,
        descending=query.descending,
    )
