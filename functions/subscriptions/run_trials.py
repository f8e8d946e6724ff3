"""Schedule: every 5 minutes

Has every account looked at whose trial is about to end, has ended, or ended so long ago that its data goes.
"""

from portal.accounts.records import Account
from portal.job import Run, job


@job
def handler(run: Run) -> int:
    return run.send("Trials", ({"account": str(account.node)} for account in run.due(Account, "trial")))
