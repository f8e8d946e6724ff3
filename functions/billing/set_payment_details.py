"""PUT /v1/billing/details

Says who pays the bills, where they go, in which currency and on which day of the month. Counts from the next bill on;
issued ones stay as they are. Once a bill is in the making, currency and payment day are fixed.
"""

from portal.billing import first_terms, records, views
from portal.billing.details import PaymentDetails
from portal.distributors.records import get_distributor
from portal.journal import Activity, Entry
from portal.operation import DISTRIBUTORS, Call, operation
from portal.permissions import Permission


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call, body: PaymentDetails) -> views.PaymentDetailsShown:
    distributor = get_distributor(call.scope, call.caller.portal.distributor)
    stored = records.find_payment_details(call.scope, distributor.node)
    form = body.model_dump(mode="json")
    said = views.described(stored.form if stored else {}, form)
    if not said:
        return views.payment_details(distributor, stored)
    changing = first_terms.change(call.scope, distributor, body, call.now.date())
    record, write = first_terms.kept(distributor.node, stored, form, body.address)
    call.commit(
        *changing,
        write,
        audit=[Entry(Activity.BILLING_DETAILS_UPDATED, distributor.node, said)],
    )
    return views.payment_details(distributor, record)
