"""An account as rating wants it."""

from datetime import datetime
from typing import Any

from portal.accounts.records import Account
from portal.billing import facts
from portal.billing.rating import AccountUsage
from portal.billing.records import Usage
from portal.change import Change
from portal.subscriptions.rules import ended_trial


def account_usage(account: Account, usage: Usage | None, now: datetime) -> AccountUsage:
    """The account with its facts.

    A trial that is over counts as what it has become, also where the trial job has not been there yet: what
    was used since is billed in the period in which it was used.
    """
    over = ended_trial(account, now) or Change()
    plan: Any = over.get("plan") or account.plan or "trial"
    return AccountUsage(
        account_id=account.account_id,
        partner_id=account.node.partner,
        name=account.name,
        email=account.email,
        plan=plan,
        subscribed_on=over.get("subscribed_on") or account.subscribed_on,
        ended_on=account.ended_on,
        facts=facts.load(usage.facts) if usage else {},
    )
