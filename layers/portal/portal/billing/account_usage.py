"""An account as rating wants it."""

from dataclasses import replace
from datetime import datetime

from portal.accounts.records import Account
from portal.billing import facts
from portal.billing.rating import AccountUsage
from portal.billing.records import Usage
from portal.change import Change
from portal.subscriptions.spans import spans

_NOTHING = Change()


def account_usages(
    account: Account, usage: Usage | None, now: datetime, but: Change = _NOTHING
) -> list[AccountUsage]:
    """The account with its facts, once for each span of its subscription; once on trial where it has none.

    A trial that is over counts as what it has become, also where the trial job has not been there yet: what
    was used since is billed in the period in which it was used. `but` as in `spans`.
    """
    never = AccountUsage(
        account_id=account.account_id,
        partner_id=account.node.partner,
        name=account.name,
        email=account.email,
        plan="trial",
        ended_on=account.ended_on,
        facts=facts.load(usage.facts) if usage else {},
    )
    known = spans(account, now, but)
    return [
        replace(never, plan=span.plan, subscribed_on=span.start, ended_on=span.end) for span in known
    ] or [never]
