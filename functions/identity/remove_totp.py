"""DELETE /v1/me/totp

Turns two-factor authentication off for yourself; needs your password, a code, or a recovery code. Refused while your
portal requires it. The recovery codes are void, and you are mailed about it.
"""

from portal.identity import actions, authenticators, records, throttle
from portal.journal import Activity, Entry
from portal.operation import ANYBODY, Call, operation
from portal.table import Check


@operation(None, portals=ANYBODY, people_only=True)
def handler(call: Call, body: authenticators.Proof) -> None:
    user = actions.own_user(call.caller)
    security = records.find_security(user.node)
    if not user.two_factor:
        raise authenticators.TwoFactorOff
    if security is not None and security.two_factor_required:
        raise authenticators.TwoFactorRequired
    throttle.attempt_code(user.user_id, call.now)
    credentials = records.find_credentials(user.user_id)
    by, what = actions.acting(user), authenticators.TURNED_OFF
    if credentials is None or authenticators.proved(user, credentials, body, call.now) is None:
        failed = Entry(Activity.SECURITY_SETTINGS_CHANGED, user.node, what, completed=False)
        call.commit_now(audit=[failed], by=by)
        raise authenticators.NotProved
    throttle.succeeded_code(user.user_id)
    # Whoever requires it at the same moment comes either before this or after.
    unchanged = [Check(security)] if security else []
    entry = Entry(Activity.SECURITY_SETTINGS_CHANGED, user.node, what)
    off, told = authenticators.turned_off(user, credentials), authenticators.told(user, what, call.origin)
    call.commit(*unchanged, *off, audit=[entry], send=[told], by=by)
