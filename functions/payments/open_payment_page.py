"""POST /v1/billing/history/{reference}/payment

Opens a page of the payment provider, on which what is owed on the bill can be paid by card or PayPal and, above 1,000 USD or
what is worth as much, by bank transfer. While one is open for that amount it is answered again. What is paid there is
recorded once the provider has told of it.
"""

from portal.billing.history import get_issued_bill
from portal.billing.rules import check_open
from portal.journal import Activity, Entry
from portal.money import Money
from portal.operation import DISTRIBUTORS, Call, operation
from portal.payments import pages, payers, views
from portal.payments.records import find_page
from portal.permissions import Permission
from portal.table import Update


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS, status=201)
def handler(call: Call) -> views.PaymentPage:
    bill = get_issued_bill(call.scope, call.path["reference"])
    check_open(bill)
    payer = payers.payer_of(call)
    page = find_page(call.scope, bill)
    if page is None or not pages.is_usable(call, bill, page):
        page = pages.ask(call, bill, payer, page)
        owed = Money(int(page.amount_minor), bill.currency)
        said = f"Opened a payment page for bill {bill.reference} over {owed}"
        entry = Entry(Activity.BILLING_DETAILS_UPDATED, bill.node, said)
        call.commit(Update(page, pages.offered(bill, payer, page)), audit=[entry])
    return views.payment_page(page, bill.reference or "", bill.currency)
