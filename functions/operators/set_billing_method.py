"""PUT /v1/operator/distributors/{distributor_id}/billing-method

Sets how the distributor pays, whatever it chose itself. Bills that are issued stay as they are.
"""

from pydantic import BaseModel

from portal.change import Change
from portal.distributors import records, views
from portal.journal import Activity, Entry
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission
from portal.table import Update
from portal.tree import VENDOR


class Method(BaseModel, extra="forbid"):
    method: views.BillingMethod


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS)
def handler(call: Call, body: Method) -> views.Distributor:
    distributor = records.get_distributor(call.scope, call.path["distributor_id"])
    if distributor.billing_method != body.method:
        said = f"Set the billing method of {distributor.name} to {body.method.replace('_', ' ')}"
        nodes = (VENDOR, distributor.node)
        entries = [
            Entry(Activity.BILLING_DETAILS_UPDATED, node, said, distributor.email, distributor.node)
            for node in nodes
        ]
        call.commit(Update(distributor, Change(billing_method=body.method)), audit=entries)
    return views.distributor(distributor)
