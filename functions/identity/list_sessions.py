"""GET /v1/me/sessions

Your sign-ins that can still be used, the latest first. Portals that were entered from one of them end with it and are
not listed; what API keys open ends with the key.
"""

from portal.identity import actions, sessions, views
from portal.operation import ANYBODY, Call, operation
from portal.paging import Page, PageQuery


@operation(None, portals=ANYBODY)
def handler(call: Call, query: PageQuery) -> Page[views.SessionShown]:
    user, current = actions.own_user(call.caller), sessions.signed_in(call.caller)
    return call.page(
        sessions.list_open(user, call.now),
        query,
        key=lambda session: (session.created_at.isoformat(), session.session_id),
        show=lambda session: views.session(session, current),
        descending=True,
    )
