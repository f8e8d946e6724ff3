"""Whom a portal's IP restrictions keep out, on each way in."""

from typing import Any

import pytest

from portal import keys
from portal.identity.records import Session, User
from portal.journal import AuditEntry
from portal.scope import Caller
from portal.table import query
from portal.tree import VENDOR, Node
from tests.builders import (
    PASSWORD,
    a_partner,
    an_api_key,
    an_authenticator,
    bearer,
    client_tokens,
    code_of,
    confirm,
    sign_in,
)
from tests.world import Answer, World, administrator

HOME, ELSEWHERE = "198.51.100.7", "203.0.113.1"
EMAIL = "office@north.example.com"
FORGED = dict.fromkeys(
    ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "X-Amzn-Source-Ip", "client-ip"), HOME
)
DENIED = Caller(kind="anonymous", refused="access_denied")


@pytest.fixture
def tokens(world: World, distributor: Node) -> dict[str, Any]:
    return sign_in(world, EMAIL)


@pytest.fixture
def me(world: World, tokens: dict[str, Any]) -> Caller:
    return bearer(world, tokens["access_token"])


def restrict(world: World, portal: Node, addresses: str = HOME) -> str:
    body = {"addresses": addresses}
    answer = world.call("identity.add_ip_entry", administrator(portal), body=body)
    assert answer.status == 201, answer.text
    entry_id: str = answer.json["entry_id"]
    return entry_id


def failed_sign_ins(portal: Node) -> list[str]:
    trail = query(AuditEntry, keys.node(portal), "AUDIT")
    return [each.description for each in trail if (each.activity, each.status) == ("sign-in", "failed")]


def refresh(world: World, token: str, address: str) -> Answer:
    form = f"grant_type=refresh_token&refresh_token={token}"
    return world.call("identity.issue_token", form=form, address=address, headers=FORGED)


def test_every_call_is_refused_from_elsewhere(
    world: World, distributor: Node, tokens: dict[str, Any]
) -> None:
    token = tokens["access_token"]
    assert bearer(world, token, ELSEWHERE).kind == "user"
    restrict(world, distributor)
    assert bearer(world, token, HOME).kind == "user"
    assert bearer(world, token, f"::ffff:{HOME}").kind == "user"
    for address in (ELSEWHERE, "2001:db8::1", "198.51.100.70", "", "nonsense"):
        denied = bearer(world, token, address)
        assert denied == DENIED
        for operation in ("identity.get_me", "partners.list_partners", "identity.sign_out"):
            answer = world.call(operation, denied)
            assert (answer.status, answer.code) == (403, "access_denied")


def test_no_header_says_where_a_call_comes_from(
    world: World, distributor: Node, tokens: dict[str, Any]
) -> None:
    restrict(world, distributor)
    event = {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:eu-central-1:123456789012:api/live/GET/v1/me",
        "headers": {"Authorization": f"Bearer {tokens['access_token']}", **FORGED},
        "multiValueHeaders": {"X-Forwarded-For": [HOME, f"{HOME}, {ELSEWHERE}"]},
    }
    for context in ({"identity": {"sourceIp": ELSEWHERE}}, {"identity": {}}, {}):
        answer = world.handler("identity.authorize")({**event, "requestContext": context}, world.context)
        assert Caller.from_context(answer["context"]) == DENIED


def test_a_change_works_on_the_next_request(world: World, distributor: Node, tokens: dict[str, Any]) -> None:
    token = tokens["access_token"]
    restrict(world, distributor)
    entry_id = restrict(world, distributor, ELSEWHERE)
    admin = administrator(distributor)
    assert bearer(world, token, ELSEWHERE).kind == "user"
    world.call("identity.delete_ip_entry", admin, path={"entry_id": entry_id})
    assert bearer(world, token, ELSEWHERE) == DENIED
    world.call("identity.switch_ip_restrictions", admin, body={"enabled": False})
    assert bearer(world, token, ELSEWHERE).kind == "user"


def test_signing_in_is_refused_from_elsewhere_and_audited(world: World, distributor: Node) -> None:
    restrict(world, distributor)
    body = {"email": EMAIL, "password": PASSWORD}
    answer = world.call("identity.sign_in", body=body, address=ELSEWHERE, headers=FORGED)
    assert (answer.status, answer.code) == (403, "access_denied")
    assert failed_sign_ins(distributor) == [f"Native Sign in (Failed) Chrome from ip {ELSEWHERE}."]
    # Whoever does not know the password does not learn that there is a restriction.
    wrong = world.call("identity.sign_in", body=body | {"password": "wrong"}, address=ELSEWHERE)
    assert (wrong.status, wrong.code) == (401, "invalid_credentials")
    assert world.call("identity.sign_in", body=body).status == 200


def test_a_second_step_is_refused_from_elsewhere(world: World, distributor: Node) -> None:
    secret, _ = an_authenticator(world, EMAIL)
    restrict(world, distributor)
    world.advance(seconds=30)
    body = {"email": EMAIL, "password": PASSWORD}
    token = world.call("identity.sign_in", body=body).json["challenge_token"]
    answered = {"challenge_token": token, "code": code_of(world, secret)}
    answer = world.call("identity.answer_challenge", body=answered, address=ELSEWHERE, headers=FORGED)
    assert (answer.status, answer.code) == (403, "access_denied")
    refused = [each for each in failed_sign_ins(distributor) if "asked for a code" not in each]
    assert refused == [f"Native Sign in (Failed) Chrome from ip {ELSEWHERE}."]


def test_refreshing_is_refused_from_elsewhere_and_uses_nothing_up(
    world: World, distributor: Node, tokens: dict[str, Any]
) -> None:
    restrict(world, distributor)
    for _ in range(2):
        answer = refresh(world, tokens["refresh_token"], ELSEWHERE)
        assert (answer.status, answer.json["error"]) == (403, "access_denied")
        world.advance(minutes=1)
    # What never was a token does not tell that there is a restriction.
    forged = tokens["refresh_token"][:-1] + "_"
    assert refresh(world, forged, ELSEWHERE).json["error"] == "invalid_grant"
    following = refresh(world, tokens["refresh_token"], HOME)
    assert following.status == 200
    # Somebody has an old one, wherever they are: the session ends.
    world.advance(minutes=1)
    assert refresh(world, tokens["refresh_token"], ELSEWHERE).json["error"] == "invalid_grant"
    [session] = [
        each for each in query(Session, keys.session(me_of(tokens))[0]) if each.revoked_at is not None
    ]
    assert session.revoked_at == world.now


def me_of(tokens: dict[str, Any]) -> str:
    """The session that tokens belong to."""
    session_id: str = tokens["refresh_token"].removeprefix("dpr_").partition(".")[0]
    return session_id


def test_an_api_key_is_bound_like_its_user(world: World, distributor: Node, me: Caller) -> None:
    key = an_api_key(world, me)
    tokens = client_tokens(world, key)
    restrict(world, distributor)
    assert bearer(world, tokens["access_token"], HOME).client_id == key["client_id"]
    assert bearer(world, tokens["access_token"], ELSEWHERE) == DENIED
    assert refresh(world, tokens["refresh_token"], ELSEWHERE).json["error"] == "access_denied"
    form = f"grant_type=client_credentials&client_id={key['client_id']}&client_secret="
    answer = world.call(
        "identity.issue_token", form=form + key["client_secret"], address=ELSEWHERE, headers=FORGED
    )
    assert (answer.status, answer.json["error"]) == (403, "access_denied")
    assert failed_sign_ins(distributor) == [f"API key Sign in (Failed) Chrome from ip {ELSEWHERE}."]
    unknown = world.call("identity.issue_token", form=form + "dps_wrong", address=ELSEWHERE)
    assert (unknown.status, unknown.json["error"]) == (401, "invalid_client")
    assert client_tokens(world, key)["access_token"]


def test_a_restriction_goes_with_the_users_of_its_portal_wherever_they_are(
    world: World, distributor: Node, me: Caller
) -> None:
    partner = a_partner(world, distributor)
    path = {"partner_id": partner.partner}
    inside = world.call("identity.access_partner", me, path=path).json["access_token"]
    # The partner's own binds the partner's users, not those who come from above to help.
    restrict(world, partner)
    assert bearer(world, inside, ELSEWHERE).portal == partner
    confirm(world, "jacob@anderson.example.com")
    jacob = sign_in(world, "jacob@anderson.example.com")["access_token"]
    assert bearer(world, jacob, ELSEWHERE) == DENIED
    assert bearer(world, jacob, HOME).portal == partner
    restrict(world, distributor)
    assert bearer(world, inside, ELSEWHERE) == DENIED
    assert bearer(world, inside, HOME).portal == partner


def test_operators_are_bound_by_their_own_rules(world: World) -> None:
    event = {"email": "olga@vendor.example.com", "name": "Olga"}
    world.handler("operators.create_first_operator")(event, world.context)
    confirm(world, "olga@vendor.example.com")
    token = sign_in(world, "olga@vendor.example.com")["access_token"]
    restrict(world, VENDOR)
    assert bearer(world, token, ELSEWHERE) == DENIED
    assert [user.email for user in query(User, keys.node(VENDOR), keys.user())] == ["olga@vendor.example.com"]
    assert bearer(world, token, HOME).home == VENDOR
