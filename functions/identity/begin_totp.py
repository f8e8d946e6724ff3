"""POST /v1/me/totp

Begins to set up an authenticator app for yourself: answers the secret as text, as URI, and as a QR code. Nothing is on
until its first code has come to /v1/me/totp/confirm; what was begun before is void. If you have an app already, it stays
the one that is asked until then.
"""

from portal.change import Change
from portal.identity import actions, authenticators, views
from portal.operation import ANYBODY, Call, operation


@operation(None, portals=ANYBODY, people_only=True)
def handler(call: Call) -> views.Authenticator:
    user = actions.own_user(call.caller)
    enrolment = authenticators.enrolment(user)
    call.commit(actions.credentials_of(user, Change(totp_begun=enrolment.sealed)))
    return enrolment.shown
