"""GET /v1/audit

What was done in this portal, newest first; a distributor sees its partners' entries too. What was done inside an
account's portal is the customer's own and is seen there. Filters combine. A page can hold fewer entries than asked
for, even none, and still have a `next_cursor`: one request looks through 2,000 entries at most, and the cursor goes on
behind them. `total` is null unless one page holds everything, because counting would read the whole history. An
entry appears within seconds.
"""

from portal.audit import listing, rules, views
from portal.audit.listing import AuditQuery
from portal.operation import ANYBODY, Call, operation
from portal.paging import LongPage
from portal.permissions import Permission


@operation(Permission.AUDIT_VIEW, portals=ANYBODY)
def handler(call: Call, query: AuditQuery) -> LongPage[views.AuditEntry]:
    return call.long_page(
        lambda behind: listing.examined(call.scope, query, behind, query.limit + 2),
        query,
        show=views.entry,
        most_examined=rules.MOST_EXAMINED,
    )
