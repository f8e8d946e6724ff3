"""GET /v1/auth/{provider}/callback

Where a provider sends the browser back to. It goes on to the web portal: to `/signed-in#challenge=<token>`, where
`POST /v1/auth/challenge` with this token, within 60 seconds, completes the sign-in; or to `/sign-in#error=<code>`, where
the code is `cancelled`, `expired` (too late, used already, or begun in another browser), `provider_unavailable`,
`access_denied` (not from this IP address) or `sign_in_failed`. The first sign-in with an e-mail address that the provider
has verified links the identity there (issuer and subject) to the user with that address, and confirms an invited one.
"""

from portal.identity import federation, throttle
from portal.identity.id_tokens import Identity
from portal.operation import Call, Reply, public_operation
from portal.table import Delete, settled


@public_operation(
    because="Whoever signs in has no token yet; state, cookie and code are what counts.", status=303
)
def handler(call: Call, query: federation.Returned) -> Reply:
    provider = federation.provider_of(call.path["provider"])
    throttle.attempt_at("provider callback", call.origin)
    callback = call.address_of(f"/v1/auth/{provider}/callback")
    browser = federation.browser(call.headers.get("cookie") or "", callback)
    begun = federation.find_begun(provider, query.state, browser, call.now)
    if begun is None:
        return Reply(None, 303, federation.failed(federation.EXPIRED).headers)
    # At once, so that neither a copy of this request nor what comes of it brings the same state again.
    call.commit_now(Delete(begun))
    found = federation.identify(begun, query, browser, call.now)
    going = settled(lambda: _signed_in(call, found, provider)) if isinstance(found, Identity) else found
    return Reply(None, 303, going.headers)


def _signed_in(call: Call, identity: Identity, provider: str) -> federation.Going:
    going = federation.sign_in(identity, provider, call.origin)
    call.commit_now(*going.writes, audit=going.entries, by=going.by)
    return going
