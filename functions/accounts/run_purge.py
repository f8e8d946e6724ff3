"""Schedule: hourly

Has every removed account looked at whose turn it is: to be deleted, or to ask the engine again.
"""

from portal.accounts.records import Account
from portal.job import Run, job


@job
def handler(run: Run) -> int:
    return run.send("Purge", ({"account": str(account.node)} for account in run.due(Account, "purge")))
