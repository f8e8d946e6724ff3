"""GET /v1/operator/accounts/{account_id}/subscription

What an account was, is and is going to be subscribed to. With `plan`, and maybe `effective_on`, it says what that
change would cost, and changes nothing.
"""

from datetime import date

from pydantic import BaseModel, model_validator

from portal.billing import plan_changing, plan_views
from portal.operation import OPERATORS, Call, operation
from portal.permissions import Permission
from portal.subscriptions.rules import Plan


class AskedFor(BaseModel, extra="forbid"):
    plan: Plan | None = None
    effective_on: date | None = None

    @model_validator(mode="after")
    def _a_day_needs_a_plan(self) -> "AskedFor":
        if self.effective_on and not self.plan:
            raise ValueError("Say the plan too.")
        return self


@operation(Permission.OPERATOR_BILLING, portals=OPERATORS)
def handler(call: Call, query: AskedFor) -> plan_views.AccountPlan:
    asked = plan_changing.load(call.scope, call.path["account_id"], query.plan, query.effective_on, call.now)
    return plan_views.account_plan(
        asked.account, plan_changing.quote_of(call.scope, asked, call.now), call.now
    )
