from typing import Any

import pytest

from portal import keys
from portal.operation import IdempotencyRecord
from portal.table import query
from portal.tree import VENDOR, Node
from tests.builders import a_distributor, a_partner, bearer, confirm, sign_in
from tests.world import OPERATOR, Answer, World


@pytest.fixture
def distributor(world: World) -> Node:
    node = a_distributor(world)
    confirm(world, "office@north.example.com")
    return node


@pytest.fixture
def tokens(world: World, distributor: Node) -> dict[str, Any]:
    return sign_in(world, "office@north.example.com")


def refresh(world: World, token: str) -> Answer:
    return world.call("identity.issue_token", form=f"grant_type=refresh_token&refresh_token={token}")


def test_a_refresh_token_gets_the_next_pair(world: World, tokens: dict[str, Any], distributor: Node) -> None:
    world.advance(minutes=15)
    assert bearer(world, tokens["access_token"]).refused == "token_expired"
    answer = refresh(world, tokens["refresh_token"])
    assert answer.status == 200
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 900)
    assert answer.json["refresh_token"] != tokens["refresh_token"]
    assert bearer(world, answer.json["access_token"]).portal == distributor
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_immediate_predecessor_gets_the_same_successor_for_thirty_seconds(
    world: World, tokens: dict[str, Any]
) -> None:
    first = refresh(world, tokens["refresh_token"])
    world.advance(seconds=30)
    again = refresh(world, tokens["refresh_token"])
    assert again.json["refresh_token"] == first.json["refresh_token"]
    assert bearer(world, again.json["access_token"]).kind == "user"
    assert refresh(world, first.json["refresh_token"]).status == 200


def test_after_thirty_seconds_a_used_token_ends_the_session(world: World, tokens: dict[str, Any]) -> None:
    successor = refresh(world, tokens["refresh_token"])
    world.advance(seconds=30.001)
    answer = refresh(world, tokens["refresh_token"])
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    assert refresh(world, successor.json["refresh_token"]).json["error"] == "invalid_grant"
    assert bearer(world, successor.json["access_token"]).refused == "session_ended"


def test_an_older_token_ends_the_session_at_once(world: World, distributor: Node) -> None:
    for depth in range(2, 6):
        first = latest = sign_in(world, "office@north.example.com")
        for _ in range(depth):
            latest = refresh(world, latest["refresh_token"]).json
        assert refresh(world, first["refresh_token"]).json["error"] == "invalid_grant"
        assert refresh(world, latest["refresh_token"]).json["error"] == "invalid_grant"
        assert bearer(world, latest["access_token"]).refused == "session_ended"


def test_reuse_ends_what_was_entered_from_the_session_too(
    world: World, distributor: Node, tokens: dict[str, Any]
) -> None:
    partner = a_partner(world, distributor)
    me = bearer(world, tokens["access_token"])
    entered = world.call("partners.access_partner", me, path={"partner_id": partner.partner}).json
    assert refresh(world, entered["refresh_token"]).status == 200
    refresh(world, tokens["refresh_token"])
    world.advance(minutes=1)
    refresh(world, tokens["refresh_token"])
    assert bearer(world, entered["access_token"]).refused == "session_ended"
    assert refresh(world, entered["refresh_token"]).json["error"] == "invalid_grant"


def test_a_session_lasts_thirty_days_from_signing_in(world: World, tokens: dict[str, Any]) -> None:
    world.advance(days=29, hours=23, minutes=59, seconds=59)
    last = refresh(world, tokens["refresh_token"])
    assert last.status == 200
    world.advance(seconds=1)
    assert bearer(world, last.json["access_token"]).kind == "anonymous"
    assert refresh(world, last.json["refresh_token"]).json["error"] == "invalid_grant"


def test_what_is_no_refresh_token_is_refused_and_ends_nothing(world: World, tokens: dict[str, Any]) -> None:
    session_id, _, secret = tokens["refresh_token"].partition(".")
    for mangled in (
        "nonsense",
        "dpr_",
        "dpr_.",
        session_id,
        f"dpr_ses_unknown.{secret}",
        f"{session_id}.{secret}".removeprefix("dpr_"),
        "%00%F0%9F%98%80",
        "dpr_" + "a" * 3000 + ".b",
        f"{session_id}.garbage",
        f"{session_id}.{secret}x",
        f"{session_id}.{secret.partition('.')[0]}",
    ):
        answer = refresh(world, mangled)
        assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    assert bearer(world, tokens["access_token"]).kind == "user"
    assert refresh(world, tokens["refresh_token"]).status == 200


def test_an_access_token_is_no_refresh_token_nor_the_other_way_round(
    world: World, tokens: dict[str, Any]
) -> None:
    assert refresh(world, tokens["access_token"]).json["error"] == "invalid_grant"
    assert bearer(world, tokens["refresh_token"]).refused == "token_unknown"


def test_errors_are_those_of_oauth(world: World) -> None:
    for form, error in (
        ("", "invalid_request"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=password&username=a&password=b", "unsupported_grant_type"),
        ("grant_type=refresh_token&refresh_token=x&audience=y", "invalid_grant"),
    ):
        answer = world.call("identity.issue_token", form=form)
        assert (answer.status, answer.json["error"]) == (400, error)
        assert answer.headers["Content-Type"] == "application/json"


def test_tokens_are_never_kept_for_a_repeated_request(world: World, tokens: dict[str, Any]) -> None:
    form = f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}"
    first, second = (
        world.call("identity.issue_token", OPERATOR, form=form, headers={"Idempotency-Key": "once"})
        for _ in range(2)
    )
    assert first.json["access_token"] != second.json["access_token"]
    assert not list(query(IdempotencyRecord, keys.node(VENDOR), "IDEMPOTENCY"))


def test_json_is_not_taken(world: World) -> None:
    answer = world.call("identity.issue_token", body={"grant_type": "refresh_token", "refresh_token": "x"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
