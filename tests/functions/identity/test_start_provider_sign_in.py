"""GET /v1/auth/{provider}/start"""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal import operation
from portal.identity import oidc
from portal.settings import ProviderSettings, settings
from tests.identity_provider import ISSUERS, PUBLIC, Provider, error_in, provider
from tests.support import Harness
from tests.world import World


@pytest.fixture
def google(world: World, harness: Harness) -> Provider:
    return provider(world, harness, "google")


def start(world: World, name: str = "google", **more: Any) -> Any:
    return world.call("identity.start_provider_sign_in", path={"provider": name}, **more)


def kept(harness: Harness) -> list[dict[str, Any]]:
    items = harness.items()[settings.table_name]
    return [item for item in items if not item["pk"]["S"].startswith("THROTTLE#")]


def test_the_browser_goes_to_the_provider_with_all_that_binds_the_sign_in(
    world: World, harness: Harness, google: Provider
) -> None:
    answer = start(world)
    assert (answer.status, answer.text) == (303, "")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    where = urlsplit(answer.headers["Location"])
    assert f"{where.scheme}://{where.netloc}{where.path}" == "https://accounts.google.com/authorize"
    asked = {name: value for name, (value,) in parse_qs(where.query).items()}
    random = {name: asked.pop(name) for name in ("state", "nonce", "code_challenge")}
    assert asked == {
        "response_type": "code",
        "client_id": "portal.google.example.com",
        "redirect_uri": "https://api.example.com/live/v1/auth/google/callback",
        "scope": "openid email",
        "code_challenge_method": "S256",
        "prompt": "select_account",
    }
    assert len(set(random.values())) == 3 and all(len(value) == 43 for value in random.values())
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    name, _, secret = cookie.partition("=")
    assert (name, len(secret)) == ("__Host-sign-in", 43)
    assert sorted(attributes) == ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=Lax", "Secure"]
    assert secret not in random.values()
    (item,) = kept(harness)
    assert item["expires_at"] == {"N": str(int(world.now.timestamp()) + 600)}
    assert set(item) - {"kind", "pk", "sk", "version"} == {
        "browser_hash",
        "callback",
        "created_at",
        "ends_at",
        "expires_at",
        "provider",
    }


def test_no_two_sign_ins_have_anything_in_common_but_the_browser(world: World, google: Provider) -> None:
    first, second, elsewhere = google.start(), google.start(), google.start()
    for name in ("state", "nonce", "code_challenge"):
        assert len({each.asked[name] for each in (first, second, elsewhere)}) == 3
    assert len({each.cookie for each in (first, second, elsewhere)}) == 3
    again = google.start(cookie=f"theme=dark; {first.cookie}")
    assert again.cookie == first.cookie
    assert again.asked["nonce"] != first.asked["nonce"]
    # What is no secret of ours is not kept.
    for planted in ("__Host-sign-in=x", "__Host-sign-in=", f"sign-in={first.cookie.partition('=')[2]}"):
        assert google.start(cookie=planted).cookie not in (first.cookie, planted)


def test_what_the_provider_says_of_itself_is_read_once_an_hour(world: World, google: Provider) -> None:
    google.start()
    google.start()
    world.advance(minutes=59)
    google.start()
    assert google.asked_for == ["/.well-known/openid-configuration"]
    world.advance(minutes=1)
    google.start()
    assert len(google.asked_for) == 2
    # The clock of a local cloud is moved back.
    world.advance(days=-100)
    google.start()
    assert len(google.asked_for) == 3


def unavailable(world: World, harness: Harness) -> bool:
    oidc.forget()
    before = kept(harness)
    answer = start(world)
    assert error_in(answer) == "provider_unavailable"
    return "Set-Cookie" not in answer.headers and kept(harness) == before


def test_a_provider_that_nobody_set_up_is_unavailable(
    world: World, harness: Harness, google: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        settings.providers, "google", ProviderSettings(ISSUERS["google"], "", "google-secret")
    )
    assert unavailable(world, harness)
    assert google.asked_for == []


def test_a_provider_that_says_strange_things_of_itself_is_unavailable(
    world: World, harness: Harness, google: Provider
) -> None:
    for said in (
        {"issuer": "https://accounts.example.com"},
        {"issuer": "https://accounts.google.com/"},
        {"issuer": None},
        {"authorization_endpoint": "http://accounts.google.com/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"token_endpoint": "https://169.254.169.254/token"},
        {"token_endpoint": ["https://accounts.google.com/token"]},
        {"jwks_uri": "https://localhost/keys"},
        {"jwks_uri": ""},
    ):
        google.metadata = said
        assert unavailable(world, harness), said


def test_a_provider_that_does_not_answer_is_unavailable(
    world: World, harness: Harness, google: Provider
) -> None:
    for addresses in ([], ["10.0.0.1"], [PUBLIC, "127.0.0.1"]):
        harness.net.names["accounts.google.com"] = addresses
        assert unavailable(world, harness)
    harness.net.names["accounts.google.com"] = [PUBLIC]
    for answer in (
        (500, {}, b"{}"),
        (302, {"Location": "https://accounts.google.com/elsewhere"}, b""),
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        (200, {}, b"{" + b" " * 300_000 + b"}"),
    ):
        harness.serve("accounts.google.com", lambda request, answer=answer: answer)
        assert unavailable(world, harness)


def test_microsofts_issuer_stands_for_its_tenants(
    world: World, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    microsoft = provider(world, harness, "microsoft")
    where = microsoft.start().asked["redirect_uri"]
    assert where == "https://api.example.com/live/v1/auth/microsoft/callback"
    # A portal for one tenant alone takes that tenant's own issuer, and no template.
    of_one = "https://login.microsoftonline.com/3f2504e0-4f89-41d3-9a0c-0305e82c3301/v2.0"
    monkeypatch.setitem(
        settings.providers, "microsoft", ProviderSettings(of_one, "portal", "microsoft-secret")
    )
    oidc.forget()
    assert error_in(start(world, "microsoft")) == "provider_unavailable"
    microsoft.metadata = {"issuer": of_one}
    oidc.forget()
    microsoft.start()


def test_another_provider_does_not_exist(world: World) -> None:
    for name in ("facebook", "Google", "google.", "email", "providers"):
        assert start(world, name).code == "not_found"


def test_attempts_are_counted_by_address(world: World, google: Provider) -> None:
    for _ in range(100):
        start(world, address="203.0.113.9")
    refused = start(world, address="203.0.113.9")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "900")
    assert start(world).status == 303


@pytest.mark.parametrize(
    ("context", "callback"),
    [
        (
            {
                "domainName": "abc123.execute-api.eu-central-1.amazonaws.com",
                "path": "/live/v1/auth/google/start",
            },
            "https://abc123.execute-api.eu-central-1.amazonaws.com/live/v1/auth/google/callback",
        ),
        (
            {"domainName": "api.example.com", "path": "/v1/auth/google/start"},
            "https://api.example.com/v1/auth/google/callback",
        ),
        (
            {"domainName": "api.example.com", "path": "/portal/v1/auth/google/start"},
            "https://api.example.com/portal/v1/auth/google/callback",
        ),
    ],
    ids=["API Gateway's own", "a domain of one's own", "with a base path"],
)
def test_the_way_back_is_where_the_api_is_whatever_headers_say(
    world: World,
    harness: Harness,
    google: Provider,
    monkeypatch: pytest.MonkeyPatch,
    context: dict[str, str],
    callback: str,
) -> None:
    monkeypatch.setattr(operation, "settings", replace(settings, api_url=""))
    event = {
        "httpMethod": "GET",
        "path": "/v1/auth/google/start",
        "pathParameters": {"provider": "google"},
        "headers": {"Host": "mallory.example.com", "X-Forwarded-Host": "mallory.example.com", "cookie": None},
        "requestContext": {"requestId": "r", "identity": {"sourceIp": "198.51.100.7"}, **context},
    }
    answer = world.invoke("identity.start_provider_sign_in", event)
    assert parse_qs(urlsplit(answer["headers"]["Location"]).query)["redirect_uri"] == [callback]
    assert answer["headers"]["Set-Cookie"].startswith("__Host-sign-in=")


def test_the_local_cloud_has_an_address_and_a_cookie_of_its_own(
    world: World, google: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = replace(settings, api_url="http://127.0.0.1:4566/_aws/execute-api/{api}/live")
    monkeypatch.setattr(operation, "settings", local)
    event = {
        "httpMethod": "GET",
        "pathParameters": {"provider": "google"},
        "requestContext": {"requestId": "r", "apiId": "abc", "identity": {"sourceIp": "127.0.0.1"}},
    }
    answer = world.invoke("identity.start_provider_sign_in", event)
    (callback,) = parse_qs(urlsplit(answer["headers"]["Location"]).query)["redirect_uri"]
    assert callback == "http://127.0.0.1:4566/_aws/execute-api/abc/live/v1/auth/google/callback"
    cookie, *attributes = answer["headers"]["Set-Cookie"].split("; ")
    assert cookie.startswith("sign-in=") and "Secure" not in attributes and "HttpOnly" in attributes
