"""PUT /v1/billing/method

Chooses how the distributor pays, once; from then on only the vendor's support changes it.
"""

from pydantic import BaseModel

from portal.billing import method, views
from portal.billing.credit_balance import load_balance
from portal.distributors.records import get_distributor
from portal.journal import Activity, Entry
from portal.operation import DISTRIBUTORS, Call, operation
from portal.permissions import Permission
from portal.table import Update


class Choice(BaseModel, extra="forbid"):
    method: views.Method


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call, body: Choice) -> views.BillingMethod:
    distributor = get_distributor(call.scope, call.caller.portal.distributor)
    said = f"Chose to pay by {body.method.replace('_', ' ')}"
    call.commit(
        Update(distributor, method.chosen(distributor, body.method)),
        audit=[Entry(Activity.BILLING_DETAILS_UPDATED, distributor.node, said)],
    )
    return views.billing_method(distributor, load_balance(call.scope, distributor))
