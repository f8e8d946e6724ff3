"""GET /v1/operator/distributors/{distributor_id}

One distributor.
"""

from portal.distributors import records, views
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission


@operation(Permission.OPERATOR_DISTRIBUTORS, portals=OPERATORS)
def handler(call: Call) -> views.Distributor:
    return views.distributor(records.get_distributor(call.scope, call.path["distributor_id"]))
