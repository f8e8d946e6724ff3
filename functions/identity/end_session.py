"""DELETE /v1/me/sessions/{session_id}

Ends one of your sign-ins and all portals entered from it: their next request is refused. Ending the one that you are
using signs you out.
"""

from portal.identity import actions, rules, sessions
from portal.journal import Activity, Entry
from portal.operation import ANYBODY, Call, operation
from portal.table import Update


@operation(None, portals=ANYBODY, people_only=True)
def handler(call: Call) -> None:
    user = actions.own_user(call.caller)
    session = sessions.get_open(user, call.path["session_id"], call.now)
    said = f"Ended the session of {rules.browser(session.user_agent or '')} from ip {session.address}"
    entry = Entry(Activity.SIGN_IN, user.node, said)
    call.commit(Update(session, rules.sign_out(session, call.now)), audit=[entry], by=actions.acting(user))
