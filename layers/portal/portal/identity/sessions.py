"""A user's own sign-ins, as it sees and ends them.

Portals that were entered from one belong to it. What an API key opens ends with the key.
"""

from datetime import datetime

from portal.errors import NotFound
from portal.identity import records, rules
from portal.identity.records import Session, User
from portal.scope import Caller


def signed_in(caller: Caller) -> Session | None:
    """The session of signing in, from which the caller may have entered other portals; None when it is over."""
    session = records.find_session(caller.session_id)
    if session is not None and session.entered_through:
        session = records.find_session(session.entered_through[-1])
    return None if session is None or session.revoked_at is not None else session


def list_open(user: User, now: datetime) -> list[Session]:
    """The user's sign-ins that can still be used."""
    return [each for each in records.find_sessions(user.user_id) if rules.is_open(each, user, now)]


def get_open(user: User, session_id: str, now: datetime) -> Session:
    """One of them.

    Raises:
        NotFound: it is no open sign-in of this user.
    """
    session = records.find_session(session_id)
    if session is None or not rules.is_open(session, user, now):
        raise NotFound
    return session
