"""Signing in with a provider that is not ours: oidc-provider-mock, really running on this machine while the test does."""

import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from portal import keys
from portal.adapters import web
from portal.identity import oidc
from portal.identity.records import EmailOwner, User
from portal.settings import ProviderSettings, settings
from tests.identity_provider import challenge_in, error_in
from tests.support import Harness
from tests.trees import plant, store
from tests.world import World

# The mock uses parts of its own libraries that these want to be rid of.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

GINA, MAX, NOBODY = "gina@north.example.com", "max@north.example.com", "nobody@north.example.com"


@pytest.fixture
def mock() -> Iterator[tuple[str, int]]:
    """A provider of its own for each test, at a free port of this machine."""
    with warnings.catch_warnings():
        # It insists on its warnings when it is imported, so it comes first.
        import authlib.deprecate  # noqa: F401

        warnings.simplefilter("ignore")
        from oidc_provider_mock import User as Person
        from oidc_provider_mock import app
        from werkzeug.serving import make_server

        people = [
            Person(sub="gina", claims={"email": GINA, "email_verified": True}),
            Person(sub="max", claims={"email": MAX, "xms_edov": True}),
            Person(sub="mallory", claims={"email": GINA, "email_verified": False}),
        ]
        server = make_server("127.0.0.1", 0, app(user_claims=people, require_nonce=True), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield "127.0.0.1", server.server_port
    server.shutdown()
    thread.join(10)
    server.server_close()
    assert not thread.is_alive()


@dataclass
class Browser:
    """A browser: it opens addresses, follows where it is sent, and keeps the portal's cookies."""

    world: World
    cookie: str = ""

    def sign_in(self, provider: str, **form: str) -> Any:
        """All the way to the web portal; `form` is what is chosen on the provider's page."""
        started = self.world.call(
            "identity.start_provider_sign_in",
            path={"provider": provider},
            headers={"Cookie": self.cookie} if self.cookie else None,
        )
        self.cookie = started.headers["Set-Cookie"].partition(";")[0]
        page = started.headers["Location"]
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(page, timeout=10).status_code == 200
            chosen = session.post(page, data=form, timeout=10, allow_redirects=False)
        assert chosen.status_code == 302, chosen.text
        back = urlsplit(chosen.headers["Location"])
        assert back.path == f"/live/v1/auth/{provider}/callback"
        return self.world.call(
            "identity.finish_provider_sign_in",
            path={"provider": provider},
            query=dict(parse_qsl(back.query)),
            headers={"Cookie": self.cookie},
        )


def test_the_whole_way_to_a_session(
    mock: tuple[str, int], world: World, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://{mock[0]}:{mock[1]}"
    harness.net.local.add(mock)
    # The browser's own look-up; the portal calls the address as it is.
    harness.net.names[mock[0]] = [mock[0]]
    for name, secret in (("google", "google-secret"), ("microsoft", "microsoft-secret")):
        monkeypatch.setitem(settings.providers, name, ProviderSettings(address, "portal", secret))
    monkeypatch.setattr(web, "settings", replace(settings, local_providers=frozenset({address})))
    oidc.forget()
    # The provider has no other clock than the real one.
    world.now = datetime.now(UTC)
    north = plant(world.now).distributor
    for email, provider in ((GINA, "google"), (MAX, "microsoft")):
        user_id = f"usr_{provider}"
        user = User(
            keys.node(north),
            keys.user(user_id),
            user_id=user_id,
            email=email,
            name=provider,
            sign_in_type=provider,
            role="administrator",
            permissions=[],
            state="invited",
            created_at=world.now,
        )
        store(user, EmailOwner(*keys.email(email), path=str(north), user_id=user_id, created_at=world.now))
    browser = Browser(world)
    # Somebody with Gina's address, which the provider has not verified; and somebody who thinks better of it.
    assert error_in(browser.sign_in("google", sub="mallory")) == "sign_in_failed"
    # (This provider forgets the state when it says no, so it is not known which sign-in that was.)
    assert error_in(browser.sign_in("google", action="deny")) == "expired"
    for provider, subject, email in (
        ("google", "gina", GINA),
        ("microsoft", "max", MAX),
        ("google", "gina", GINA),
    ):
        token = challenge_in(browser.sign_in(provider, sub=subject))
        answer = world.call("identity.answer_challenge", body={"challenge_token": token})
        assert answer.status == 200, answer.text
        caller = world.identify(answer.json["access_token"])
        assert (caller.email, caller.portal) == (email, north)
        me = world.call("identity.get_me", caller)
        assert me.json["user"]["email"] == email
        # The token of the challenge was good once.
        assert world.call("identity.answer_challenge", body={"challenge_token": token}).status == 401
    # Whose identity is Gina's at Google is nobody's at Microsoft, and nobody else is known.
    assert error_in(browser.sign_in("microsoft", sub="gina")) == "sign_in_failed"
    assert error_in(browser.sign_in("google", sub=NOBODY)) == "sign_in_failed"
