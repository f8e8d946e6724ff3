"""Getting in over HTTP, as strangers do it: a standard OAuth client, an authenticator app, the mailed link, a browser
that goes through the identity provider; and from the wrong address.
"""

import re
from typing import Any

import pyotp
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session

from local.people import PASSWORD
from tests.e2e.conftest import LocalCloud

pytestmark = pytest.mark.xdist_group("local_cloud")

_TURNS = 150
ELSEWHERE = {"X-Forwarded-For": "203.0.113.9"}
"""Where a request comes from. Only the local gateway believes it; AWS tells the address that it saw itself."""


class Portal:
    """The API as an HTTP client of anybody's sees it."""

    def __init__(self, url: str, endpoint: str) -> None:
        self.url, self.endpoint = url, endpoint
        self.http = requests.Session()

    def ask(self, method: str, path: str, token: str = "", **options: Any) -> requests.Response:
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        return self.http.request(method, self.url + path, headers=headers, timeout=60, **options)

    def sign_in(self, email: str, password: str = PASSWORD, **options: Any) -> dict[str, Any]:
        answer = self.ask("POST", "/auth/sign-in", json={"email": email, "password": password}, **options)
        assert answer.status_code == 200, answer.text
        signed_in: dict[str, Any] = answer.json()
        return signed_in

    def link_to(self, email: str, page: str) -> str:
        """The token of the link in the latest mail to somebody that leads to a page; mail goes out a moment later."""
        for _ in range(_TURNS):
            mailbox = requests.get(f"{self.endpoint}/_ministack/ses/messages", timeout=60).json()["messages"]
            mails = [
                mail["BodyText"] for account in mailbox.values() for mail in account if email in mail["To"]
            ]
            if found := re.findall(rf"{page}#token=([\w-]+)", "\n".join(mails)):
                token: str = found[-1]
                return token
            requests.get(f"{self.url}/health", timeout=60)
        raise AssertionError(f"No mail to {email} leads to {page}.")


@pytest.fixture(scope="module")
def portal(local_cloud: LocalCloud) -> Portal:
    outputs = local_cloud.outputs()
    return Portal(outputs["Api"], outputs["Endpoint"])


@pytest.fixture(scope="module")
def administrator(month: dict[str, str]) -> str:
    """E-mail address of a distributor's."""
    return month["administrator"]


def test_a_standard_oauth_client_gets_in_with_an_api_key(
    portal: Portal, administrator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    token = portal.sign_in(administrator)["access_token"]
    key = portal.ask("POST", "/api-keys", token, json={"name": "Warehouse"}).json()

    for method in ("client_secret_basic", "client_secret_post"):
        client = OAuth2Session(key["client_id"], key["client_secret"], token_endpoint_auth_method=method)
        granted = client.fetch_token(f"{portal.url}/auth/token", grant_type="client_credentials")
        assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3600)
        assert client.get(f"{portal.url}/me").json()["user"]["email"] == administrator
        renewed = client.refresh_token(f"{portal.url}/auth/token")
        assert renewed["access_token"] != granted["access_token"]
        assert client.get(f"{portal.url}/partners").status_code == 200

    by_header = portal.ask(
        "POST",
        "/auth/token",
        data={"grant_type": "client_credentials"},
        headers={"client-id": key["client_id"], "client-secret": key["client_secret"]},
    )
    assert by_header.status_code == 200, by_header.text
    [shown] = portal.ask("GET", "/api-keys", token).json()["items"]
    assert (shown["client_id"], shown["name"], bool(shown["last_used_on"])) == (
        key["client_id"],
        "Warehouse",
        True,
    )

    assert portal.ask("DELETE", f"/api-keys/{key['client_id']}", token).status_code == 204
    refused = portal.ask("GET", "/me", by_header.json()["access_token"])
    assert (refused.status_code, refused.json()["code"]) == (401, "not_signed_in")


def test_an_authenticator_app_is_asked_and_each_code_counts_once(
    local_cloud: LocalCloud, portal: Portal, administrator: str
) -> None:
    email = administrator.replace("@", ".second@")
    token = portal.sign_in(administrator)["access_token"]
    _a_user(portal, token, email)
    mine = portal.sign_in(email)["access_token"]
    begun = portal.ask("POST", "/me/totp", mine).json()
    app = pyotp.parse_uri(begun["otpauth_uri"])
    assert isinstance(app, pyotp.TOTP)
    assert begun["qr_svg"].lstrip().startswith(("<?xml", "<svg"))
    # The local cloud has a clock of its own.
    now = float(local_cloud.run("-c", "from local import clock; print(clock.now().timestamp())"))
    confirmed = portal.ask("POST", "/me/totp/confirm", mine, json={"code": app.at(now)})
    assert len(confirmed.json()["recovery_codes"]) == 10, confirmed.text

    asked = portal.sign_in(email)
    assert (asked["challenge"], "access_token" in asked) == ("totp", False)
    assert portal.ask("GET", "/me", asked["challenge_token"]).status_code == 401
    again = portal.ask(
        "POST", "/auth/challenge", json={"challenge_token": asked["challenge_token"], "code": app.at(now)}
    )
    assert again.status_code >= 400, "a code counted twice"
    answer = {
        "challenge_token": asked["challenge_token"],
        "recovery_code": confirmed.json()["recovery_codes"][0],
    }
    tokens = portal.ask("POST", "/auth/challenge", json=answer)
    assert tokens.status_code == 200, tokens.text
    assert portal.ask("GET", "/me", tokens.json()["access_token"]).json()["user"]["email"] == email


def test_whoever_comes_from_elsewhere_is_denied_on_every_path(portal: Portal, administrator: str) -> None:
    signed_in = portal.sign_in(administrator)
    token = signed_in["access_token"]
    key = portal.ask("POST", "/api-keys", token, json={"name": "Elsewhere"}).json()
    here = portal.ask("GET", "/me", token).json()["ip_address"]
    entry = portal.ask(
        "POST", "/security/ip-restrictions/entries", token, json={"addresses": here, "description": "Office"}
    )
    assert entry.status_code == 201, entry.text
    try:
        credentials = {"email": administrator, "password": PASSWORD}
        client = {"grant_type": "client_credentials", "client_id": key["client_id"]}
        refresh = {"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]}
        for answer in (
            portal.ask("GET", "/me", token, headers=ELSEWHERE),
            portal.ask("GET", "/partners", token, headers=ELSEWHERE),
            portal.ask("POST", "/auth/sign-in", json=credentials, headers=ELSEWHERE),
            portal.ask(
                "POST",
                "/auth/token",
                data=client | {"client_secret": key["client_secret"]},
                headers=ELSEWHERE,
            ),
            portal.ask("POST", "/auth/token", data=refresh, headers=ELSEWHERE),
        ):
            said = answer.json()
            assert (answer.status_code, said.get("code", said.get("error"))) == (403, "access_denied"), said
        assert portal.ask("GET", "/me", token).status_code == 200
        entries = f"/security/ip-restrictions/entries/{entry.json()['entry_id']}"
        locked_out = portal.ask("PATCH", entries, token, json={"addresses": "203.0.113.1"})
        assert (locked_out.status_code, locked_out.json()["code"]) == (409, "own_address_not_covered")
    finally:
        off = portal.ask("PUT", "/security/ip-restrictions", token, json={"enabled": False})
    assert off.status_code == 200, off.text
    assert portal.ask("GET", "/me", token, headers=ELSEWHERE).status_code == 200


def test_what_happened_stands_in_the_audit_trail(portal: Portal, administrator: str) -> None:
    token = portal.sign_in(administrator)["access_token"]
    mine = portal.ask("GET", "/audit", token, params={"activity": "API key changed", "limit": 100}).json()
    assert mine["items"]
    assert {row["activity"] for row in mine["items"]} == {"API key changed"}
    assert {row["performed_by"] for row in mine["items"]} == {administrator}


def _a_user(portal: Portal, token: str, email: str) -> None:
    """A user who may see the dashboard, and has followed the link that was mailed."""
    body = {"email": email, "name": "Second", "role": "custom", "permissions": ["dashboard.view"]}
    made = portal.ask("POST", "/users", token, json=body)
    assert made.status_code == 201, made.text
    link = portal.link_to(email, "confirm-email")
    chosen = portal.ask("POST", "/auth/confirm-email", json={"token": link, "password": PASSWORD})
    assert chosen.status_code == 204, chosen.text
