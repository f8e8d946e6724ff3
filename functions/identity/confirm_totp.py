"""POST /v1/me/totp/confirm

Turns two-factor authentication on for yourself, with the first code of the authenticator app that was begun: from now on
signing in asks for a code. Answers 10 recovery codes, which are shown this once. Where an app is in use already, the new
one takes its place, with new recovery codes; that needs a proof that it is you as well. You are mailed about either.
"""

from pydantic import BaseModel

from portal.change import Change
from portal.errors import FieldError, Invalid
from portal.identity import actions, authenticators, records, sessions, throttle, views
from portal.journal import Activity, Entry
from portal.operation import ANYBODY, Call, operation
from portal.table import Update


class FirstCode(BaseModel, extra="forbid"):
    code: authenticators.Code
    proof: authenticators.Proof | None = None


@operation(None, portals=ANYBODY, people_only=True)
def handler(call: Call, body: FirstCode) -> views.RecoveryCodes:
    user = actions.own_user(call.caller)
    credentials = records.find_credentials(user.user_id)
    if credentials is None or not credentials.totp_begun:
        raise authenticators.NothingBegun
    if user.two_factor and body.proof is None:
        raise Invalid(errors=(FieldError("proof", "Needed: there is an authenticator app already."),))
    what = authenticators.REPLACED if user.two_factor else authenticators.TURNED_ON
    throttle.attempt_code(user.user_id, call.now)
    turned_on = None
    if not body.proof or authenticators.proved(user, credentials, body.proof, call.now) is not None:
        turned_on = authenticators.turn_on(user, credentials, credentials.totp_begun, body.code, call.now)
    if turned_on is None:
        failed = Entry(Activity.SECURITY_SETTINGS_CHANGED, user.node, what, completed=False)
        call.commit_now(audit=[failed], by=actions.acting(user))
        raise authenticators.NotProved if body.proof else authenticators.WrongCode
    throttle.succeeded_code(user.user_id)
    signed_in = sessions.signed_in(call.caller)
    shown = [Update(signed_in, Change(second_factor=True))] if signed_in else []
    entry = Entry(Activity.SECURITY_SETTINGS_CHANGED, user.node, what)
    told = authenticators.told(user, what, call.origin)
    call.commit(*turned_on.writes, *shown, audit=[entry], send=[told], by=actions.acting(user))
    return views.RecoveryCodes(recovery_codes=turned_on.recovery_codes)
