"""The simulated identity provider: to the local cloud it is both Google and Microsoft, and asks nobody for a password.

Whoever signs in there says who they are. Those of `local.people` have e-mail addresses that it has verified; with any
other name comes an address that nobody verified, and the portal lets nobody in with it.

    python -m local.provider
"""

import time

from oidc_provider_mock import User, app  # type: ignore[import-untyped]
from werkzeug.serving import make_server

from local import clock
from local.cloud import HOST, PROVIDER_PORT
from local.people import GOOGLE_EMAIL, MICROSOFT_EMAIL

_VERIFIED = {GOOGLE_EMAIL: "email_verified", MICROSOFT_EMAIL: "xms_edov"}
"""How either provider says that it has verified an address."""


def main() -> None:
    # It lives in the local cloud's time, which can be moved: the portal refuses tokens of another day.
    setattr(time, "time", lambda: clock.now().timestamp())  # noqa: B010
    people = [User(sub=email, claims={"email": email, claim: True}) for email, claim in _VERIFIED.items()]
    make_server(HOST, PROVIDER_PORT, app(user_claims=people), threaded=True).serve_forever()


if __name__ == "__main__":
    main()
