"""GET /v1/auth/{provider}/start

Sends the browser to `google` or `microsoft` to sign in (OpenID Connect: authorization code with PKCE, state and nonce).
The sign-in is bound to this browser by a cookie and has to be completed within 10 minutes. Open this address in the
browser, do not fetch it. Without that provider the browser comes back to the web portal at
`/sign-in#error=provider_unavailable`.
"""

from portal.identity import federation, throttle
from portal.operation import Call, Reply, public_operation


@public_operation(because="Whoever signs in has no token yet.", status=303)
def handler(call: Call) -> Reply:
    provider = federation.provider_of(call.path["provider"])
    throttle.attempt_at("provider start", call.origin)
    callback = call.address_of(f"/v1/auth/{provider}/callback")
    browser = federation.browser(call.headers.get("cookie") or "", callback)
    going = federation.begin(provider, callback, browser, call.now)
    call.commit(*going.writes)
    return Reply(None, 303, going.headers)
