"""GET /v1/operator/distributors/{distributor_id}

One distributor, and what it has paid in excess.
"""

from portal.billing.credit_balance import load_balance
from portal.distributors import records, views
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission


@operation(Permission.OPERATOR_DISTRIBUTORS, portals=OPERATORS)
def handler(call: Call) -> views.DistributorWithBalance:
    distributor = records.get_distributor(call.scope, call.path["distributor_id"])
    return views.distributor_with_balance(distributor, load_balance(call.scope, distributor))
