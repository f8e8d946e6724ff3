"""GET /v1/billing/history/{reference}/statements

What each partner's accounts cost on a consolidated bill, direct accounts first, then by name. The amounts sum to
the bill's, so a distributor can bill its partners from them.
"""

from portal.billing import documents, history, views
from portal.billing.statements import Statement, statements
from portal.operation import DISTRIBUTORS, Call, operation
from portal.paging import Page, PageQuery
from portal.permissions import Permission
from portal.tree import DIRECT


@operation(Permission.BILLING_MANAGE, portals=DISTRIBUTORS)
def handler(call: Call, query: PageQuery) -> Page[views.StatementRow]:
    bill = history.get_issued_bill(call.scope, call.path["reference"])
    history.check_is_consolidated(bill)
    return call.page(
        statements(documents.frozen_bill(call.scope, bill)), query, key=_place, show=views.statement_row
    )


def _place(statement: Statement) -> tuple[int, str, str]:
    return int(statement.partner_id != DIRECT), statement.name.casefold(), statement.partner_id
