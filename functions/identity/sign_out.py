"""POST /v1/auth/sign-out

Ends the session that the token belongs to, and those of all portals entered from it: their next request is
refused.
"""

from portal.identity import records, rules
from portal.operation import ANYBODY, Call, operation
from portal.table import Update


@operation(None, portals=ANYBODY)
def handler(call: Call) -> None:
    session = records.get_session(call.caller.session_id)
    call.commit(Update(session, rules.sign_out(session, call.now)))
