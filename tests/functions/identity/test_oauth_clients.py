"""A standard OAuth client gets and uses tokens, with nothing written for it here but the way to the handlers."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from portal.scope import Caller
from portal.tree import Node
from tests.builders import an_api_key, bearer, sign_in
from tests.world import World

API = "https://api.portal.example.com/live"
TOKEN_URL = f"{API}/v1/auth/token"
OPERATIONS = {
    ("POST", "/live/v1/auth/token"): "identity.issue_token",
    ("GET", "/live/v1/me"): "identity.get_me",
    ("GET", "/live/v1/partners"): "partners.list_partners",
}


class Gateway(BaseAdapter):
    """The API in this process: from what a client sends to a handler's event, and back."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.sent: list[PreparedRequest] = []

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        self.sent.append(request)
        operation = OPERATIONS[request.method or "", urlsplit(str(request.url)).path]
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        headers = dict(request.headers)
        caller = None
        if operation != "identity.issue_token":
            caller = bearer(self.world, headers["Authorization"].removeprefix("Bearer "))
        answer = self.world.call(operation, caller, headers=headers, form=body)
        response = Response()
        response.status_code, response.url, response.request = answer.status, str(request.url), request
        response.headers.update(answer.headers)
        response.raw = HTTPResponse(body=BytesIO(answer.text.encode()), preload_content=False)
        return response

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def owner(world: World, distributor: Node) -> Caller:
    return bearer(world, sign_in(world, "office@north.example.com")["access_token"])


@pytest.fixture
def key(world: World, owner: Caller) -> dict[str, Any]:
    return an_api_key(world, owner)


@pytest.fixture
def gateway(world: World) -> Gateway:
    return Gateway(world)


def in_headers(client: Any, method: str, uri: str, headers: Any, body: Any) -> tuple[Any, ...]:
    """authlib's own hook for a way of showing the secret that OAuth does not name."""
    shown = {"client-id": client.client_id, "client-secret": client.client_secret}
    return uri, {**headers, **shown}, body


@pytest.fixture(params=["client_secret_basic", "client_secret_post", "headers"])
def session(request: pytest.FixtureRequest, key: dict[str, Any], gateway: Gateway) -> Iterator[OAuth2Session]:
    client = OAuth2Session(
        key["client_id"],
        key["client_secret"],
        token_endpoint=TOKEN_URL,
        token_endpoint_auth_method=request.param,
        grant_type="client_credentials",
    )
    client.register_client_auth_method(("headers", in_headers))
    client.mount("https://", gateway)
    with client:
        yield client


def test_a_client_fetches_uses_and_refreshes_tokens(
    session: OAuth2Session, gateway: Gateway, owner: Caller, world: World
) -> None:
    token = session.fetch_token()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 3600)
    me = session.get(f"{API}/v1/me")
    assert me.status_code == 200
    assert me.json()["user"]["user_id"] == owner.user_id
    world.advance(minutes=61)
    assert session.get(f"{API}/v1/me").status_code == 401
    refreshed = session.refresh_token(refresh_token=token["refresh_token"])
    assert refreshed["access_token"] != token["access_token"]
    assert refreshed["refresh_token"] != token["refresh_token"]
    assert session.get(f"{API}/v1/partners").json()["total"] == 1
    with pytest.raises(OAuthError) as used_again:
        world.advance(minutes=1)
        session.refresh_token(refresh_token=token["refresh_token"])
    assert used_again.value.error == "invalid_grant"
    asked = [each for each in gateway.sent if str(each.url) == TOKEN_URL]
    assert [way_of(each) for each in asked] == [session.token_endpoint_auth_method] * 3


def way_of(request: PreparedRequest) -> str:
    """How a request to the token endpoint shows the client's secret."""
    ways = {
        "client_secret_basic": request.headers.get("Authorization", "").startswith("Basic "),
        "client_secret_post": "client_secret=dps_" in str(request.body),
        "headers": request.headers.get("client-secret", "").startswith("dps_"),
    }
    [way] = [name for name, used in ways.items() if used]
    return way


def test_an_expired_token_is_renewed_by_the_client_itself(
    session: OAuth2Session, gateway: Gateway, owner: Caller
) -> None:
    session.fetch_token()
    session.token["expires_at"] = 1
    assert session.get(f"{API}/v1/me").status_code == 200
    assert [urlsplit(str(each.url)).path for each in gateway.sent] == [
        "/live/v1/auth/token",
        "/live/v1/auth/token",
        "/live/v1/me",
    ]


def test_a_wrong_secret_is_told_in_a_way_that_clients_understand(session: OAuth2Session) -> None:
    session.client_secret = "dps_wrong"
    with pytest.raises(OAuthError) as refused:
        session.fetch_token()
    assert refused.value.error == "invalid_client"


def test_a_scope_is_refused(session: OAuth2Session) -> None:
    with pytest.raises(OAuthError) as refused:
        session.fetch_token(scope="accounts:read")
    assert refused.value.error == "invalid_scope"
