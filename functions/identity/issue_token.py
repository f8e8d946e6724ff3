"""POST /v1/auth/token

OAuth 2.0 token endpoint (RFC 6749): form-encoded, grant type `refresh_token`; errors are OAuth's own, in
JSON. A refresh token is used once and answered with its successor. A repeat within 30 seconds gets the same
successor; a later one ends the session and all portals entered from it, because somebody else has the token.
"""

from typing import Annotated

import orjson
from pydantic import BaseModel, Field

from portal import ids
from portal.identity import actions, records, rules, tokens, views
from portal.operation import Call, Reply, public_operation
from portal.table import Update

_UNKNOWN = "This refresh token is unknown, expired or revoked."
GrantText = Annotated[str, Field(max_length=4096)]


class Grant(BaseModel, extra="ignore"):
    """Unknown parameters are ignored: RFC 6749 wants it so."""

    grant_type: GrantText = ""
    refresh_token: GrantText = ""


@public_operation(
    because="It is asked when the access token has expired; the refresh token is what counts.", form=True
)
def handler(call: Call, body: Grant) -> views.Tokens | Reply:
    if not body.grant_type or (body.grant_type == "refresh_token" and not body.refresh_token):
        return _refused("invalid_request", "grant_type and refresh_token are required.")
    if body.grant_type != "refresh_token":
        return _refused("unsupported_grant_type", "Only refresh_token is known here.")
    shown = tokens.RefreshToken.parse(body.refresh_token)
    session = records.find_session(shown.session_id) if shown else None
    if shown is None or session is None or actions.standing(session, call.now).refused:
        return _refused("invalid_grant", _UNKNOWN)
    rotation = rules.rotate(session, shown.secret, salt=ids.secret(), now=call.now)
    if rotation.change:
        call.commit(Update(session, rotation.change))
    if rotation.secret is None and rotation.change is None:
        return _refused("invalid_grant", _UNKNOWN)
    if rotation.secret is None:
        return _refused("invalid_grant", "This refresh token was used before; the session has been ended.")
    access = actions.access_token(session, call.now)
    call.commit(*access.writes)
    return views.tokens(access.token, str(tokens.RefreshToken(session.session_id, rotation.secret)))


def _refused(error: str, description: str) -> Reply:
    return Reply(orjson.dumps({"error": error, "error_description": description}).decode(), 400)
