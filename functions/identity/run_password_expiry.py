"""Schedule: nightly

Has every portal looked at whose passwords expire, for users to be warned in time.
"""

from portal.identity.records import Security
from portal.job import Run, job


@job
def handler(run: Run) -> int:
    due = run.due(Security, "password_expiry")
    return run.send("PasswordExpiry", ({"portal": str(security.node)} for security in due))
