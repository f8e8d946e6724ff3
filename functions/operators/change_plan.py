"""PUT /v1/operator/accounts/{account_id}/subscription

Puts a subscribed account on the monthly or the annual plan. To the annual plan from today (unless said otherwise)
or any day within a year on: the days before are billed monthly, and the first term is invoiced when it begins. To
the monthly plan from the end of the present term on, which is paid in advance. Asking for the present plan takes
back a change that is still to come. The answer says what is billed because of it, at the quantities counted so far.
"""

from datetime import date

from pydantic import BaseModel

from portal.billing import plan_changing, plan_views
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission
from portal.subscriptions.rules import Plan


class NewPlan(BaseModel, extra="forbid"):
    plan: Plan
    effective_on: date | None = None


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS)
def handler(call: Call, body: NewPlan) -> plan_views.AccountPlan:
    changing = plan_changing.load(call.scope, call.path["account_id"], body.plan, body.effective_on, call.now)
    quote = plan_changing.quote_of(call.scope, changing, call.now)
    if changing.change:
        audit, send = plan_changing.entries(changing, call.now), plan_changing.messages(changing, call.now)
        call.commit(*plan_changing.writes(changing, call.now), audit=audit, send=send)
    return plan_views.account_plan(changing.account, quote, call.now)
