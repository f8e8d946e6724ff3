"""What gets tokens at the token endpoint: an API key's id and secret, or a refresh token."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from portal import ids
from portal.change import Change
from portal.identity import actions, ip_restrictions, records, rules, throttle, tokens, views
from portal.identity.client_authentication import INVALID_CLIENT, Refused, Shown, shown
from portal.journal import Activity, Entry
from portal.table import Put, Update
from portal.tree import VENDOR, Node

if TYPE_CHECKING:
    from portal.operation import Call

_CLIENT = throttle.Limit(60, timedelta(minutes=15))
"""Attempts as one client from one address, until one succeeds. A secret cannot be guessed; this bounds the audit trail.
Many programs may ask with the same key at once."""
_ADDRESS = throttle.Limit(300, timedelta(minutes=15))
"""Requests with client credentials from one address, successful ones too: a token is good for an hour."""
_UNKNOWN = Refused("invalid_grant", "This refresh token is unknown, expired or revoked.")
_USED = Refused("invalid_grant", "This refresh token was used before; the session has been ended.")
_ANOTHERS = Refused("invalid_grant", "This refresh token was given to another client.")
_ACCESS_DENIED = Refused("access_denied", "Access from your address is not allowed.", 403)

Text = Annotated[str, Field(max_length=4096)]


class TokenRequest(BaseModel, extra="ignore"):
    """Unknown parameters are ignored, and those without a value do not count: RFC 6749 wants it so."""

    grant_type: Annotated[Text, Field(description="`client_credentials` or `refresh_token`.")] = ""
    refresh_token: Text = ""
    client_id: Text = ""
    client_secret: Text = ""
    scope: Annotated[Text, Field(description="Not known here: leave it out.")] = ""


def tokens_for(call: "Call", request: TokenRequest) -> views.Tokens | Refused:
    """The tokens that a request gets."""
    if not request.grant_type:
        return Refused("invalid_request", "grant_type is required.")
    if request.grant_type not in ("client_credentials", "refresh_token"):
        return Refused("unsupported_grant_type", "Only client_credentials and refresh_token are known here.")
    if request.scope:
        # Granting all to somebody who asked for less would be worse than granting nothing.
        return Refused("invalid_scope", "There are no scopes: an API key may do what its user may.")
    client = shown(call.headers, request.client_id, request.client_secret)
    if isinstance(client, Refused):
        return client
    if request.grant_type == "client_credentials":
        return _by_client(call, client) if client else INVALID_CLIENT
    if not request.refresh_token:
        return Refused("invalid_request", "refresh_token is required.")
    return _by_refresh_token(call, request, client)


# Client credentials


def _by_client(call: "Call", client: Shown) -> views.Tokens | Refused:
    """A session of an API key. Whether the client is unknown, its secret wrong or its user gone, answer and work are the
    same.
    """
    place = throttle.place(call.origin)
    throttle.attempt("token at", place, _ADDRESS.number, _ADDRESS.window, call.now)
    throttle.attempt("token", f"{place} {client.client_id}", _CLIENT.number, _CLIENT.window, call.now)
    key, right = _compared(client)
    home, user_id = (Node.parse(key.user_path), key.user_id) if key else (VENDOR, ids.new("usr", call.now))
    found = actions.candidate(home, user_id)
    user = found.user
    alive = right and user is not None and user.state == "active" and found.stands
    admitted = ip_restrictions.allowed(found.security, call.address)
    described = rules.sign_in_description(
        method="api_key", completed=alive and admitted, user_agent=call.user_agent, address=call.address
    )
    if key is None or user is None:
        call.commit_now(Put(actions.failed_sign_in(_as_id(client.client_id), described, call.now)))
        return INVALID_CLIENT
    by = actions.acting(user, key.client_id)
    entry = Entry(Activity.SIGN_IN, home, described, completed=alive and admitted)
    if not (alive and admitted):
        call.commit_now(audit=[entry], by=by)
        return _ACCESS_DENIED if alive else INVALID_CLIENT
    opened = actions.open_client_session(key, user, call.origin)
    records.mark_used(key, call.now.date())
    call.commit(*opened.writes, audit=[entry], by=by)
    throttle.clear("token", f"{place} {client.client_id}")
    return opened.tokens


def _compared(client: Shown) -> tuple[records.ApiClient | None, bool]:
    """The API key with this id, and whether the secret is its own."""
    key = records.find_api_client(_as_id(client.client_id))
    return key, tokens.is_hashed(client.client_secret, key.secret_hash if key else None)


def _as_id(client_id: str) -> str:
    """An id to look for and to keep. What cannot be one of ours may be a secret in the wrong field, or far too long."""
    return client_id if re.fullmatch(r"cid_[0-9a-z]{26}", client_id) else tokens.hashed(client_id)


# Refresh tokens


def _by_refresh_token(call: "Call", request: TokenRequest, client: Shown | None) -> views.Tokens | Refused:
    """The next tokens of a session.

    An API key's refresh token works without the key's secret, as a person's does: it is as secret, is used once, and
    ends with the key. A client that does show who it is has to be right, and the one that the token was given to.
    """
    if client and not _is_right(call, client):
        return INVALID_CLIENT
    parsed = tokens.RefreshToken.parse(request.refresh_token)
    session = records.find_session(parsed.session_id) if parsed else None
    if parsed is None or session is None:
        return _UNKNOWN
    named = (client and client.client_id) or request.client_id or call.headers.get("client-id")
    if named and named != session.client_id:
        return _ANOTHERS
    refused = actions.standing(session, call.address, call.now).refused
    if refused and refused != "access_denied":
        return _UNKNOWN
    rotation = rules.rotate(session, parsed.secret, salt=ids.secret(), now=call.now)
    if rotation.secret is None:
        if rotation.change is None:
            return _UNKNOWN
        _end(call, session, rotation.change)
        return _USED
    if refused:
        return _ACCESS_DENIED
    if rotation.change:
        call.commit(Update(session, rotation.change))
    if session.client_id and (key := records.find_api_client(session.client_id)):
        records.mark_used(key, call.now.date())
    access = actions.access_token(session, call.now)
    call.commit(*access.writes)
    return access.shown(str(tokens.RefreshToken(session.session_id, rotation.secret)))


def _end(call: "Call", session: records.Session, change: Change) -> None:
    """Somebody else has, or had, the session's tokens: it ends, and its portal's audit trail says so."""
    home = Node.parse(session.user_path)
    user = records.find_user(home, session.user_id)
    said = (
        "Ended a session whose refresh token was used twice "
        f"({rules.browser(call.user_agent)} from ip {call.address})."
    )
    entries = [Entry(Activity.SIGN_IN, home, said, completed=False)] if user else []
    call.commit(
        Update(session, change),
        audit=entries,
        by=actions.acting(user, session.client_id or "") if user else None,
    )


def _is_right(call: "Call", client: Shown) -> bool:
    counted = f"{throttle.place(call.origin)} {client.client_id}"
    throttle.attempt("token", counted, _CLIENT.number, _CLIENT.window, call.now)
    _, right = _compared(client)
    if right:
        throttle.clear("token", counted)
    return right
