"""GET /v1/auth/{provider}/callback"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest

from portal import keys
from portal.identity import ip_restrictions, records
from portal.identity.records import Credentials, EmailOwner, Federated, Security, User
from portal.journal import AuditEntry
from portal.settings import settings
from portal.table import query
from portal.tree import Node
from tests.identity_provider import (
    ISSUERS,
    TENANT,
    Claims,
    Provider,
    challenge_in,
    error_in,
    jwk,
    provider,
    rsa_key,
)
from tests.support import Harness
from tests.trees import plant, store
from tests.world import World, administrator

EMAIL = "gina@north.example.com"
SUBJECT = "108202304"


def user_of(node: Node, world: World, name: str = "gina", **values: Any) -> User:
    """A user who is to sign in with Google, invited."""
    email = f"{name}@north.example.com"
    given = {"sign_in_type": "google", "state": "invited", "email": email, "name": name.capitalize()} | values
    user = User(
        keys.node(node),
        keys.user(f"usr_{name}"),
        user_id=f"usr_{name}",
        role="administrator",
        permissions=[],
        created_at=world.now,
        **given,
    )
    owner = EmailOwner(*keys.email(email), path=str(node), user_id=user.user_id, created_at=world.now)
    store(user, owner)
    return user


def present(user: User) -> User:
    found = records.find_user(user.node, user.user_id)
    assert found is not None
    return found


def trail(node: Node) -> list[tuple[str, str, str, str]]:
    """The audit entries of a portal."""
    entries = query(AuditEntry, keys.node(node), "AUDIT#")
    return [(each.activity, each.status, each.performed_by, each.description) for each in entries]


def signed_in(world: World, answer: Any) -> dict[str, Any]:
    """What the web portal gets for the challenge that the browser came with."""
    done = world.call("identity.answer_challenge", body={"challenge_token": challenge_in(answer)})
    assert done.status == 200, done.text
    found: dict[str, Any] = done.json
    return found


@pytest.fixture
def north(world: World) -> Node:
    return plant(world.now).distributor


@pytest.fixture
def google(world: World, harness: Harness) -> Provider:
    return provider(world, harness, "google")


@contextmanager
def nothing_left(harness: Harness) -> Iterator[None]:
    """Demand that the block leaves the table as it was, but for what counts attempts."""
    before = kept(harness)
    yield
    assert kept(harness) == before


def kept(harness: Harness) -> list[dict[str, Any]]:
    items = harness.items()[settings.table_name]
    return [item for item in items if not item["pk"]["S"].startswith("THROTTLE#")]


# The first sign-in


def test_the_first_sign_in_links_the_identity_and_confirms_an_invited_user(
    world: World, north: Node, google: Provider
) -> None:
    gina = user_of(north, world, link_hash="of the invitation")
    answer = google.sign_in(SUBJECT, "Gina@North.Example.com")
    tokens = signed_in(world, answer)
    caller = world.identify(tokens["access_token"])
    assert (caller.user_id, caller.portal) == ("usr_gina", north)
    user = present(gina)
    assert (user.state, user.link_hash) == ("active", None)
    assert trail(north) == [
        ("user management", "completed", EMAIL, f"Confirmed e-mail address {EMAIL} with Google"),
        ("sign-in", "completed", EMAIL, "Google Sign in (OK) Chrome from ip 198.51.100.7."),
    ]
    credentials = records.find_credentials("usr_gina")
    assert credentials is not None and credentials.password_hash is None
    linked = records.find_federated(credentials.federated_hash)
    assert linked is not None and (linked.user_id, linked.provider) == ("usr_gina", "google")
    # The browser, once come back, is known by nothing any more that could be used again.
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_active_user_is_linked_as_well(world: World, north: Node, google: Provider) -> None:
    user_of(north, world, state="active")
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    assert trail(north)[0] == ("user management", "completed", EMAIL, f"Linked {EMAIL} with Google")


def test_later_sign_ins_go_by_issuer_and_subject_whatever_the_address(
    world: World, north: Node, google: Provider
) -> None:
    gina = user_of(north, world)
    other = user_of(north, world, "otto")
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    for said in (
        {"email": other.email},
        {"email": "elsewhere@example.com"},
        {"email_verified": False},
    ):
        google.change = lambda claims, said=said: claims.update(said)
        tokens = signed_in(world, google.sign_in(SUBJECT, EMAIL))
        assert world.identify(tokens["access_token"]).user_id == "usr_gina"
    assert present(other).state == "invited"
    assert present(gina).email == EMAIL
    assert len(trail(north)) == 5


def test_microsoft_signs_in_users_of_any_tenant(world: World, harness: Harness, north: Node) -> None:
    microsoft = provider(world, harness, "microsoft")
    user_of(north, world, "max", sign_in_type="microsoft")
    tokens = signed_in(world, microsoft.sign_in("subject-at-microsoft", "max@north.example.com"))
    assert world.identify(tokens["access_token"]).user_id == "usr_max"
    assert trail(north)[-1][3] == "Microsoft Sign in (OK) Chrome from ip 198.51.100.7."
    assert microsoft.asked_for == ["/common/v2.0/.well-known/openid-configuration", "/token", "/keys"]


def test_a_second_factor_is_asked_for_after_a_provider_too(
    world: World, north: Node, google: Provider
) -> None:
    user_of(north, world, state="active")
    store(Security(keys.node(north), keys.SECURITY, two_factor_required=True))
    answer = google.sign_in(SUBJECT, EMAIL)
    going_on = world.call("identity.answer_challenge", body={"challenge_token": challenge_in(answer)})
    assert (going_on.status, going_on.json["challenge"]) == (200, "enrol_totp")


# Who is refused


def refused_alike(google: Provider, harness: Harness, subject: str = SUBJECT, email: str = EMAIL) -> None:
    before = {item["pk"]["S"] for item in kept(harness)}
    assert error_in(google.sign_in(subject, email)) == "sign_in_failed"
    beside = {pk for item in kept(harness) if (pk := item["pk"]["S"]) not in before}
    assert not [pk for pk in beside if not pk.startswith("SIGN_IN#")]


@pytest.mark.parametrize(
    "values",
    [{"sign_in_type": "email"}, {"sign_in_type": "email", "state": "active"}, {"sign_in_type": "microsoft"},
     {"state": "disabled"}, {"state": "active", "email": "old@north.example.com"}],
    ids=str,
)  # fmt: skip
def test_a_user_who_is_not_to_sign_in_this_way_is_not_signed_in(
    world: World, harness: Harness, north: Node, google: Provider, values: dict[str, Any]
) -> None:
    gina = user_of(north, world, **values)
    before = present(gina).attribute_values
    refused_alike(google, harness)
    assert present(gina).attribute_values == before
    assert records.find_credentials(gina.user_id) is None
    failed = ("sign-in", "failed", gina.email, "Google Sign in (Failed) Chrome from ip 198.51.100.7.")
    assert trail(north) == ([] if "email" in values else [failed])


def test_an_address_that_nobody_has_is_refused_and_written_down(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    user_of(north, world)
    refused_alike(google, harness, email="nobody@north.example.com")
    (failed,) = query(records.FailedSignIn, "SIGN_IN#nobody@north.example.com|")
    assert failed.description == "Google Sign in (Failed) Chrome from ip 198.51.100.7."
    # A tenant's own address that no user has is nobody's either.
    store(
        EmailOwner(*keys.email("office@north.example.com"), path=str(north), user_id="", created_at=world.now)
    )
    refused_alike(google, harness, email="office@north.example.com")


def test_an_address_that_only_looks_like_a_users_is_nobodys(
    world: World, north: Node, google: Provider
) -> None:
    for name in ("gina", "ssina", "gessler", "kim"):
        user_of(north, world, name)
    for email in (
        "\u017f\u017fina@north.example.com",
        "ge\u00dfler@north.example.com",
        "\u212aim@north.example.com",
        "x" * 300,
        "",
        "@",
        "gina@north.example.com, mallory@example.com",
        "Gina <gina@north.example.com>",
        "gina@north.example.com\n.",
    ):
        assert error_in(google.sign_in(SUBJECT, email)) == "sign_in_failed", ascii(email)
    assert trail(north) == []


@pytest.mark.parametrize(
    ("theirs", "another"),
    [
        ("strasse.de", "xn--strae-oqa.de"),
        ("stra\u00dfe.de", "strasse.de"),
        ("\u03b2\u03c3.gr", "\u03b2\u03c2.gr"),
    ],
)
def test_domains_that_only_folding_makes_one_are_two(
    world: World, north: Node, google: Provider, theirs: str, another: str
) -> None:
    user = user_of(north, world)
    user.email = f"gina@{theirs}"
    user.save()
    owned = keys.email(records.folded(user.email))
    store(EmailOwner(*owned, path=str(north), user_id=user.user_id, created_at=world.now))
    assert error_in(google.sign_in("mallory", f"gina@{another}")) == "sign_in_failed"
    tokens = signed_in(world, google.sign_in(SUBJECT, user.email))
    assert world.identify(tokens["access_token"]).user_id == user.user_id


def test_one_identity_is_one_users_and_one_user_has_one_identity(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    gina, otto = user_of(north, world), user_of(north, world, "otto")
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    # Somebody else to whom the address belongs by now, at the provider.
    refused_alike(google, harness, "another-subject", EMAIL)
    assert trail(north)[-1][:3] == ("sign-in", "failed", EMAIL)
    signed_in(world, google.sign_in("ottos-subject", otto.email))
    # An identity that is another user's.
    credentials = records.find_credentials(gina.user_id)
    assert credentials is not None
    linked = records.find_federated(credentials.federated_hash)
    assert linked is not None
    linked.user_id = otto.user_id
    linked.save()
    refused_alike(google, harness)


def test_a_user_who_changes_provider_is_linked_there_and_let_go_here(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    gina = user_of(north, world)
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    earlier = records.find_credentials(gina.user_id).federated_hash
    user = present(gina)
    user.sign_in_type = "microsoft"
    user.save()
    refused_alike(google, harness)
    microsoft = provider(world, harness, "microsoft")
    signed_in(world, microsoft.sign_in("at-microsoft", EMAIL))
    assert records.find_federated(earlier) is None
    assert (
        records.find_federated(records.find_credentials(gina.user_id).federated_hash).provider == "microsoft"
    )


def test_an_identity_of_a_removed_user_signs_nobody_in_until_it_is_forgotten(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    gina = user_of(north, world)
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    present(gina).delete()
    assert error_in(google.sign_in(SUBJECT, EMAIL)) == "sign_in_failed"
    world.deliver("identity.on_users_removed", {"node": str(north), "user_ids": [gina.user_id]})
    assert list(query(Federated, keys.federated(records.folded("x"))[0])) == []
    again = user_of_again(north, world)
    tokens = signed_in(world, google.sign_in(SUBJECT, EMAIL))
    assert world.identify(tokens["access_token"]).user_id == again.user_id


def user_of_again(north: Node, world: World) -> User:
    """Gina, invited once more after she was removed."""
    owner = records.find_email_owner(EMAIL)
    assert owner is not None
    owner.user_id = "usr_gina2"
    owner.save()
    user = User(
        keys.node(north),
        keys.user("usr_gina2"),
        user_id="usr_gina2",
        email=EMAIL,
        name="Gina",
        sign_in_type="google",
        role="administrator",
        permissions=[],
        state="invited",
        created_at=world.now,
    )
    store(user)
    return user


def test_a_portal_that_is_gone_signs_nobody_in(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    user_of(Node("dst_gone"), world)
    refused_alike(google, harness)


def test_from_another_address_than_the_portal_allows_there_is_no_access(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    gina = user_of(north, world)
    entry = ip_restrictions.entry("ipe_1", {"addresses": "192.0.2.1"}, world.now)
    store(Security(keys.node(north), keys.SECURITY, ip_restricted=True, ip_entries=[entry]))
    assert error_in(google.sign_in(SUBJECT, EMAIL)) == "access_denied"
    assert present(gina).state == "invited"
    assert records.find_credentials(gina.user_id) is None
    assert [each[:2] for each in trail(north)] == [("sign-in", "failed")]
    challenge_in(google.sign_in(SUBJECT, EMAIL, address="192.0.2.1"))


# What a provider says that is not right


def signing(key: str, header: dict[str, Any], algorithm: str = "RS256") -> Callable[[Claims], str]:
    return lambda claims: jwt.encode(claims, rsa_key(key), algorithm, header)


def saying(**changed: Any) -> Callable[[Claims], None]:
    return lambda claims: claims.update(changed)


def leaving_out(name: str) -> Callable[[Claims], object]:
    return lambda claims: claims.pop(name)


BAD_TOKENS: dict[str, dict[str, Any]] = {
    "signed by another": {"sign": signing("mallory", {"kid": "key-1"})},
    "no signature": {"sign": lambda claims: jwt.encode(claims, None, "none")},
    "HS256 by the client's secret": {
        "sign": lambda claims: jwt.encode(claims, "value of google-secret" * 2, "HS256", {"kid": "key-1"})
    },
    "another issuer": {"change": saying(iss="https://accounts.example.com")},
    "another audience": {"change": saying(aud="another")},
    "several audiences": {
        "change": lambda claims: claims.update(aud=[claims["aud"], "another"], azp="another")
    },
    "got by another": {"change": saying(azp="another")},
    "expired": {"change": lambda claims: claims.update(exp=claims["iat"] - 120)},
    "of the future": {"change": lambda claims: claims.update(iat=claims["iat"] + 120)},
    "not yet": {"change": lambda claims: claims.update(nbf=claims["iat"] + 120)},
    "never expires": {"change": leaving_out("exp")},
    "no nonce": {"change": leaving_out("nonce")},
    "another nonce": {"change": saying(nonce="another")},
    "no subject": {"change": leaving_out("sub")},
    "subject too long": {"change": saying(sub="x" * 300)},
    "unverified address": {"change": saying(email_verified=False)},
    "address verified in words": {"change": saying(email_verified="true")},
    "no word on the address": {"change": leaving_out("email_verified")},
    "no address": {"change": leaving_out("email")},
    "another access token": {"change": saying(at_hash="AAAAAAAAAAAAAAAAAAAAAA")},
    "unknown key": {"sign": signing("google", {"kid": "nobody"})},
    "the key of another algorithm": {"sign": signing("google", {"kid": "key-2"})},
    "a key of its own": {
        "sign": signing("mallory", {"kid": "key-1", "jwk": jwk(rsa_key("mallory"), "key-1")})
    },
    "an address of keys": {
        "sign": signing("mallory", {"kid": "key-1", "jku": "https://mallory.example.com/"})
    },
    "an address of certificates": {"sign": signing("google", {"kid": "key-1", "x5u": "https://google.com/"})},
    "critical": {"sign": signing("google", {"kid": "key-1", "crit": ["exp"]})},
    "an access token": {"sign": signing("google", {"kid": "key-1", "typ": "at+jwt"})},
    "RS512": {"sign": signing("google", {"kid": "key-1"}, "RS512")},
    "oversized": {"change": saying(padding="x" * 20_000)},
    "nonsense": {"sign": lambda claims: "nonsense"},
    "no token": {"answer": lambda answer: {"access_token": "access"}},
    "token no text": {"answer": lambda answer: answer | {"id_token": 1}},
    "another's token": {"change": saying(iss=ISSUERS["microsoft"].replace("{tenantid}", TENANT), tid=TENANT)},
}


def test_no_bad_token_signs_anybody_in_and_none_leaves_anything_behind(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    assert len(BAD_TOKENS) >= 25
    user_of(north, world)
    signs_in = {}
    with nothing_left(harness):
        for name, bad in BAD_TOKENS.items():
            as_it_was = vars(google).copy()
            vars(google).update(bad)
            answer = google.sign_in(SUBJECT, EMAIL)
            vars(google).update(as_it_was)
            if answer.headers["Location"] != "https://portal.example.com/sign-in#error=sign_in_failed":
                signs_in[name] = answer.headers["Location"]
    assert signs_in == {}
    # With everything right, the same user is signed in.
    signed_in(world, google.sign_in(SUBJECT, EMAIL))


def test_a_tenants_administrator_cannot_pass_for_somebody_elses_user(
    world: World, harness: Harness, north: Node
) -> None:
    microsoft = provider(world, harness, "microsoft")
    user_of(north, world, "max", sign_in_type="microsoft")
    with nothing_left(harness):
        for change in (
            leaving_out("xms_edov"),
            saying(xms_edov=False),
            saying(xms_edov="0", email_verified=True),
            saying(tid="11111111-2222-3333-4444-555555555555"),
            leaving_out("tid"),
            saying(iss=ISSUERS["microsoft"]),
        ):
            microsoft.change = change
            assert error_in(microsoft.sign_in("mallory", "max@north.example.com")) == "sign_in_failed"


def test_a_provider_that_does_not_answer_properly_is_unavailable(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    user_of(north, world)
    with nothing_left(harness):
        for broken in (
            {"status": 500},
            {"status": 401},
            {"status": 302},
            {"answer": lambda answer: b"<html>"},
            {"answer": lambda answer: b"[]"},
            {"answer": lambda answer: b'{"id_token": "' + b"x" * 300_000 + b'"}'},
        ):
            as_it_was = vars(google).copy()
            vars(google).update(broken)
            assert error_in(google.sign_in(SUBJECT, EMAIL)) == "provider_unavailable", broken
            vars(google).update(as_it_was)


def test_a_provider_that_cannot_be_reached_any_more_is_unavailable(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    user_of(north, world)
    redirected = google.start()
    query = google.authorize(redirected, SUBJECT, EMAIL)
    harness.net.names["accounts.google.com"] = ["169.254.169.254"]
    assert error_in(google.come_back(query, redirected.cookie)) == "provider_unavailable"
    assert google.forms == []


def test_a_new_key_of_the_provider_is_found_once_a_minute(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    user_of(north, world)
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    google.sign = signing("google-new", {"kid": "key-3"})
    for _ in range(3):
        assert error_in(google.sign_in(SUBJECT, EMAIL)) == "sign_in_failed"
    assert google.asked_for.count("/keys") == 1
    google.keys.append(jwk(rsa_key("google-new"), "key-3"))
    world.advance(minutes=1)
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    assert google.asked_for.count("/keys") == 2
    world.advance(minutes=59)
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    assert google.asked_for.count("/.well-known/openid-configuration") == 2


# State, cookie, code


def test_a_state_is_good_once(world: World, harness: Harness, north: Node, google: Provider) -> None:
    user_of(north, world)
    redirected = google.start()
    query = google.authorize(redirected, SUBJECT, EMAIL)
    challenge_in(google.come_back(query, redirected.cookie))
    with nothing_left(harness):
        assert error_in(google.come_back(query, redirected.cookie)) == "expired"
    assert len(google.forms) == 1
    # Neither after a code that came to nothing: the provider would give another one only for another sign-in.
    redirected = google.start()
    query = {"state": redirected.asked["state"], "code": "guessed"}
    assert error_in(google.come_back(query, redirected.cookie)) == "sign_in_failed"
    query = google.authorize(redirected, SUBJECT, EMAIL)
    assert error_in(google.come_back(query, redirected.cookie)) == "expired"


def test_a_sign_in_is_completed_within_ten_minutes(world: World, north: Node, google: Provider) -> None:
    user_of(north, world)
    redirected = google.start()
    world.advance(minutes=9, seconds=59.999)
    challenge_in(google.come_back(google.authorize(redirected, SUBJECT, EMAIL), redirected.cookie))
    redirected = google.start()
    world.advance(minutes=10)
    query = google.authorize(redirected, SUBJECT, EMAIL)
    assert error_in(google.come_back(query, redirected.cookie)) == "expired"


def test_only_the_browser_that_began_a_sign_in_ends_it(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    user_of(north, world)
    mallorys, victims = google.start(), google.start()
    query = google.authorize(mallorys, SUBJECT, EMAIL)
    name, _, secret = mallorys.cookie.partition("=")
    with nothing_left(harness):
        for cookie in (
            "",
            victims.cookie,
            f"{name}=",
            f"{name}={secret[:-1]}",
            f"{name}={secret}x",
            f"sign-in={secret}",
            f"x{name}={secret}",
            f"{name}={secret}; {victims.cookie}",
            f"{victims.cookie}; {name}={secret}",
            f"{name}={mallorys.asked['state']}",
            f"{name}=; {name}=",
            "\x00",
        ):
            assert error_in(google.come_back(query, cookie)) == "expired", cookie
    assert google.forms == []
    # Not burnt by it: the browser itself still comes back.
    challenge_in(google.come_back(query, f"theme=dark; {mallorys.cookie}; x"))


def test_a_code_is_worth_nothing_in_another_sign_in(world: World, north: Node, google: Provider) -> None:
    user_of(north, world)
    victims, mallorys = google.start(), google.start()
    stolen = google.authorize(victims, SUBJECT, EMAIL)["code"]
    query = {"state": mallorys.asked["state"], "code": stolen}
    assert error_in(google.come_back(query, mallorys.cookie)) == "sign_in_failed"


def test_an_answer_of_the_other_provider_is_none(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    provider(world, harness, "microsoft")
    user_of(north, world)
    redirected = google.start()
    query = google.authorize(redirected, SUBJECT, EMAIL)
    assert error_in(google.come_back(query, redirected.cookie, provider="microsoft")) == "expired"
    # It says itself whose answer it is (RFC 9207).
    mixed_up = query | {"iss": "https://login.microsoftonline.com/x/v2.0"}
    assert error_in(google.come_back(mixed_up, redirected.cookie)) == "sign_in_failed"
    assert google.forms == []
    redirected = google.start()
    query = google.authorize(redirected, SUBJECT, EMAIL) | {"iss": ISSUERS["google"], "scope": "openid"}
    challenge_in(google.come_back(query, redirected.cookie))


def test_a_provider_that_says_no_sends_the_browser_back(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    with nothing_left(harness):
        for said, code in (
            ({"error": "access_denied"}, "cancelled"),
            ({"error": "access_denied", "error_description": "<script>", "code": "x"}, "cancelled"),
            ({"error": "server_error"}, "sign_in_failed"),
            ({"error": "#challenge=dpc_x"}, "sign_in_failed"),
            ({}, "sign_in_failed"),
            ({"code": ""}, "sign_in_failed"),
        ):
            redirected = google.start()
            query = {"state": redirected.asked["state"], **said}
            assert error_in(google.come_back(query, redirected.cookie)) == code, said
            assert error_in(google.come_back(query, redirected.cookie)) == "expired", said
    assert google.forms == []


def test_what_no_provider_sends_is_refused(world: World, google: Provider) -> None:
    cookie = google.start().cookie
    for said in ({}, {"state": ""}, {"state": "x"}, {"state": "\u00e9", "code": "x"}, {"code": "x"}):
        assert error_in(google.come_back(said, cookie)) == "expired"
    assert google.come_back({"state": "x" * 5_000}, cookie).status == 400
    assert google.come_back({"state": "x"}, cookie, provider="facebook").code == "not_found"
    assert google.come_back({"state": "x"}, cookie, provider="Google").code == "not_found"


def test_attempts_are_counted_by_address(world: World, google: Provider) -> None:
    cookie = google.start().cookie
    for _ in range(100):
        google.come_back({"state": "x"}, cookie, address="203.0.113.9")
    refused = google.come_back({"state": "x"}, cookie, address="203.0.113.9")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "900")
    assert google.come_back({"state": "x"}, cookie).status == 303


# Secrets


def test_what_is_stored_of_a_sign_in_is_worth_nothing(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    user_of(north, world)
    redirected = google.start()
    stored = str(kept(harness))
    google.authorize(redirected, SUBJECT, EMAIL)
    answer = google.come_back(google.authorize(redirected, SUBJECT, EMAIL), redirected.cookie)
    stored += str(kept(harness))
    verifier = google.forms[0]["code_verifier"]
    assert 43 <= len(verifier) <= 128
    secret = redirected.cookie.partition("=")[2]
    for each in (
        secret,
        redirected.asked["state"],
        redirected.asked["nonce"],
        redirected.asked["code_challenge"],
        verifier,
        google.forms[0]["code"],
        challenge_in(answer),
        SUBJECT,
    ):
        assert each not in stored
    # Nor does anything of it that is seen in addresses lead to the rest.
    assert len({secret, verifier, redirected.asked["state"], redirected.asked["nonce"]}) == 4


def test_nothing_secret_is_logged(
    world: World,
    north: Node,
    google: Provider,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    user_of(north, world)
    secrets = []
    # The SDK's own log, which is off, tells all that it does.
    caplog.set_level(logging.INFO, "botocore")
    with caplog.at_level(logging.DEBUG):
        for change in ({}, {"sign": signing("mallory", {"kid": "key-1"})}, {"status": 500}):
            vars(google).update(change)
            redirected = google.start()
            query = google.authorize(redirected, SUBJECT, EMAIL)
            answer = google.come_back(query, redirected.cookie)
            form = google.forms[-1]
            secrets += [*query.values(), redirected.cookie.partition("=")[2], redirected.asked["nonce"]]
            secrets += [
                form["code_verifier"],
                form["client_secret"],
                answer.headers["Location"].partition("#")[2],
            ]
    shown = capsys.readouterr()
    logged = caplog.text + shown.out + shown.err + str([vars(each) for each in caplog.records])
    assert "refused what a provider said" in logged
    assert [each for each in secrets if each in logged and not each.startswith("error=")] == []


# Faults and races


@pytest.mark.races
def test_copies_of_one_callback_sign_in_once(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    user_of(north, world)
    redirected = google.start()
    query = google.authorize(redirected, SUBJECT, EMAIL)
    for _, outcomes in harness.rounds(4, lambda: google.come_back(query, redirected.cookie), seeds=range(5)):
        answers = [outcome.result for outcome in outcomes]
        assert sorted(answer.headers["Location"].partition("#")[2][:9] for answer in answers) == [
            "challenge", "error=exp", "error=exp", "error=exp"
        ]  # fmt: skip
        assert len(trail(north)) == 1


@pytest.mark.races
def test_two_identities_at_once_make_one_link(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    gina = user_of(north, world)
    ways = []
    for subject in ("one", "other"):
        redirected = google.start()
        ways.append((google.authorize(redirected, subject, EMAIL), redirected.cookie))
    for seed in range(5):
        before = harness.snapshot()
        outcomes = harness.run_together([lambda way=way: google.come_back(*way) for way in ways], seed=seed)
        ends = sorted(outcome.result.headers["Location"].partition("#")[2][:9] for outcome in outcomes)
        assert ends == ["challenge", "error=sig"]
        credentials = records.find_credentials(gina.user_id)
        assert isinstance(credentials, Credentials)
        assert sum(item["pk"]["S"].startswith("FEDERATED#") for item in kept(harness)) == 1
        assert records.find_federated(credentials.federated_hash).user_id == gina.user_id
        harness.restore(before)


def test_a_crash_leaves_a_user_linked_whole_or_not_at_all(
    world: World, harness: Harness, north: Node, google: Provider
) -> None:
    gina = user_of(north, world)
    redirected = google.start()
    query = google.authorize(redirected, SUBJECT, EMAIL)
    writing = ("DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem")
    runs = 0
    for _ in harness.sweep(
        lambda: google.come_back(query, redirected.cookie), match=lambda call: call.operation in writing
    ):
        runs += 1
        credentials = records.find_credentials(gina.user_id)
        linked = credentials is not None and records.find_federated(credentials.federated_hash) is not None
        assert linked == (present(gina).state == "active") == bool(trail(north))
        # The person begins again, and is signed in.
        challenge_in(google.sign_in(SUBJECT, EMAIL))
        assert present(gina).state == "active"
    assert runs >= 6


def test_another_sign_in_type_lets_the_identity_go(world: World, north: Node, google: Provider) -> None:
    gina, otto = user_of(north, world), user_of(north, world, "otto")
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    for sign_in_type in ("email", "google"):
        body = {"sign_in_type": sign_in_type}
        path = {"user_id": gina.user_id}
        answer = world.call("identity.change_user", administrator(north), path=path, body=body)
        assert answer.status == 200
        # Under whatever address: the identity is nobody's any more.
        assert error_in(google.sign_in(SUBJECT, "gina@elsewhere.example")) == "sign_in_failed"
    # It can be another's now, and she can have another.
    taken = world.identify(signed_in(world, google.sign_in(SUBJECT, otto.email))["access_token"])
    assert taken.user_id == otto.user_id
    hers = world.identify(signed_in(world, google.sign_in("another", EMAIL))["access_token"])
    assert hers.user_id == gina.user_id
    again = world.identify(signed_in(world, google.sign_in(SUBJECT, "x@elsewhere.example"))["access_token"])
    assert again.user_id == otto.user_id


def test_the_same_identity_can_come_back(world: World, north: Node, google: Provider) -> None:
    gina = user_of(north, world)
    signed_in(world, google.sign_in(SUBJECT, EMAIL))
    for sign_in_type in ("microsoft", "google"):
        path, body = {"user_id": gina.user_id}, {"sign_in_type": sign_in_type}
        world.call("identity.change_user", administrator(north), path=path, body=body)
    for email in (EMAIL, "x@elsewhere.example"):
        found = world.identify(signed_in(world, google.sign_in(SUBJECT, email))["access_token"])
        assert found.user_id == gina.user_id
