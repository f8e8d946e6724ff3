"""POST /v1/auth/token

OAuth 2.0 token endpoint (RFC 6749): form-encoded, errors are OAuth's own, in JSON.

`client_credentials`: an API key's id and secret, in one of three ways: HTTP Basic, the form's `client_id` and
`client_secret`, or the headers `client-id` and `client-secret`. The access token is good for 60 minutes.

`refresh_token`: a refresh token is used once and answered with its successor. A repeat within 30 seconds gets the same
successor; a later one ends the session and all portals entered from it, because somebody else has the token. An API
key may show its id and secret as well; they then have to be right.

From an address that the portal's IP restrictions do not admit: 403 `access_denied`. An address gets API keys' tokens at
most 300 times in 15 minutes, then 429: keep an access token for its hour.
"""

import orjson

from portal.identity import grants, views
from portal.operation import Call, Reply, public_operation


@public_operation(
    because="Whoever asks shows a client's secret or a refresh token, and has no other.", form=True
)
def handler(call: Call, body: grants.TokenRequest) -> views.Tokens | Reply:
    granted = grants.tokens_for(call, body)
    if not isinstance(granted, grants.Refused):
        return Reply(granted, headers={"Pragma": "no-cache"})
    said = {"error": granted.error, "error_description": granted.description}
    challenge = {"WWW-Authenticate": 'Basic realm="portal", charset="UTF-8"'} if granted.status == 401 else {}
    return Reply(orjson.dumps(said).decode(), granted.status, challenge)
