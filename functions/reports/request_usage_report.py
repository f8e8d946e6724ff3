"""POST /v1/reports/usage

Asks for a usage report: a zip with one CSV, a line per protected entity of the chosen accounts. Choose
accounts by their ids, or with the filters of the account list; without either, all that you may see. It is
written in the background, shows what you may see then, and is mailed to you as an attachment (up to 7 MB)
or as a link. It can be downloaded for 30 days.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from portal.accounts.listing import AccountFilters, check_money
from portal.accounts.records import get_account
from portal.journal import Activity, Entry
from portal.operation import Call, operation
from portal.permissions import Permission
from portal.reports import records, rules, views
from portal.table import Put

AccountId = Annotated[str, Field(min_length=1, max_length=64)]


class UsageReportWanted(BaseModel, extra="forbid"):
    account_ids: (
        Annotated[list[AccountId], Field(min_length=1, max_length=rules.MOST_ACCOUNTS_BY_ID)] | None
    ) = None
    filters: AccountFilters = AccountFilters()
    delivery: Literal["attachment", "link"] = "attachment"


@operation(Permission.REPORTS_EXPORT, status=202)
def handler(call: Call, body: UsageReportWanted) -> views.UsageReport:
    filters = body.filters.model_dump(exclude_unset=True)
    rules.check_choice(body.account_ids, filters)
    check_money(body.filters, call.caller.sees_money)
    rules.admit(records.list_reports(call.scope, call.caller.user_id), call.now)
    chosen = {get_account(call.scope, account_id).account_id for account_id in body.account_ids or ()}
    wanted = {"account_ids": sorted(chosen)} if chosen else {"filters": filters}
    report = records.requested(call.caller, wanted, body.delivery, call.now)
    call.commit(
        Put(report),
        audit=[Entry(Activity.NOTIFICATION, call.caller.portal, "Usage report requested")],
        send=[report.wanted(turn=0)],
    )
    return views.report(report, call.now)
