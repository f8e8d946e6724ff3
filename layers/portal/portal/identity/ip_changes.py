"""A change of a portal's IP restrictions, with all that goes with it."""

from typing import TYPE_CHECKING

from portal.change import Change
from portal.identity import records
from portal.identity.actions import security_of
from portal.journal import Activity, Entry, Message
from portal.notifications.messages import mail

if TYPE_CHECKING:
    from portal.operation import Call

_RECIPIENTS_IN_A_MESSAGE = 200


def commit(call: "Call", security: records.Security | None, change: Change, what: str) -> None:
    """Write the change, its audit entry, and the mail to everybody who administers the portal now.

    All entries and the switch are one item: of two changes at once the later one is decided again by what the earlier
    one left, so that they cannot lock out together what neither would have locked out alone.
    """
    portal = call.caller.portal
    call.commit(
        security_of(portal, security, change),
        audit=[Entry(Activity.SECURITY_SETTINGS_CHANGED, portal, what)],
        send=_told(call, on=change["ip_restricted"], what=what),
    )


def _told(call: "Call", *, on: bool, what: str) -> list[Message]:
    portal = call.caller.portal
    administrators = [
        user.email
        for user in records.list_users(call.scope, portal)
        if user.role == "administrator" and user.state == "active"
    ]
    parameters = {
        "what": what,
        "on": on,
        "by": call.caller.email,
        "address": call.address,
        "at": f"{call.now:%Y-%m-%d %H:%M} UTC",
    }
    return [
        mail(
            portal,
            to=administrators[first : first + _RECIPIENTS_IN_A_MESSAGE],
            template="ip_restrictions_changed",
            parameters=parameters,
        )
        for first in range(0, len(administrators), _RECIPIENTS_IN_A_MESSAGE)
    ]
