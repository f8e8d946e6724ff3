from typing import Any

import pytest

from portal.identity.actions import open_client_session
from portal.identity.records import ApiClient, find_user
from portal.keys import client
from portal.scope import Origin
from portal.table import stage, write
from portal.tree import Node
from tests.builders import PASSWORD, a_partner, bearer, confirm, sign_in
from tests.trees import store
from tests.world import World

EMAIL = "office@north.example.com"


@pytest.fixture
def token(world: World, distributor: Node) -> str:
    access_token: str = sign_in(world, EMAIL)["access_token"]
    return access_token


def listed(world: World, token: str, **query: str) -> list[dict[str, Any]]:
    answer = world.request("identity.list_sessions", token, query=query or None)
    assert answer.status == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def a_key(world: World, token: str) -> ApiClient:
    """An API key of the bearer, as it is stored."""
    caller = bearer(world, token)
    made = ApiClient(
        *client("cid_1"),
        client_id="cid_1",
        user_path=str(caller.home),
        user_id=caller.user_id,
        secret_hash="",
    )
    store(made)
    return made


def sign_in_with_key(world: World, key: ApiClient) -> str:
    user = find_user(Node.parse(key.user_path), key.user_id)
    assert user is not None
    opened = open_client_session(key, user, Origin(world.now, "192.0.2.9", "curl/8.4.0"))
    write([stage(each) for each in opened.writes])
    return opened.tokens.access_token


def test_a_sign_in_tells_when_from_where_and_with_what(world: World, token: str) -> None:
    world.advance(minutes=1)
    latest = sign_in(world, EMAIL)["access_token"]
    assert listed(world, latest) == [
        {
            "session_id": bearer(world, latest).session_id,
            "created_at": "2023-01-10T12:01:00Z",
            "ends_at": "2023-02-09T12:01:00Z",
            "address": "198.51.100.7",
            "browser": "Chrome",
            "current": True,
        },
        {
            "session_id": bearer(world, token).session_id,
            "created_at": "2023-01-10T12:00:00Z",
            "ends_at": "2023-02-09T12:00:00Z",
            "address": "198.51.100.7",
            "browser": "Chrome",
            "current": False,
        },
    ]
    assert [each["current"] for each in listed(world, token)] == [False, True]


def test_portals_that_were_entered_are_not_listed_and_belong_to_the_sign_in(
    world: World, distributor: Node, token: str
) -> None:
    path = {"partner_id": a_partner(world, distributor).partner}
    entered = world.request("identity.access_partner", token, path=path).json["access_token"]
    for shown in (listed(world, token), listed(world, entered)):
        assert [(each["session_id"], each["current"]) for each in shown] == [
            (bearer(world, token).session_id, True)
        ]


def test_what_has_ended_is_not_listed(world: World, token: str) -> None:
    signed_out = sign_in(world, EMAIL)["access_token"]
    world.request("identity.sign_out", signed_out)
    world.advance(days=29, hours=23, minutes=59, seconds=59)
    latest = sign_in(world, EMAIL)["access_token"]
    assert len(listed(world, latest)) == 2
    world.advance(seconds=1)
    assert [each["current"] for each in listed(world, latest)] == [True]


def test_a_changed_password_leaves_one(world: World, token: str) -> None:
    sign_in(world, EMAIL)
    body = {"current": PASSWORD, "new": "a long run instead", "confirmation": "a long run instead"}
    assert world.request("identity.change_password", token, body=body).status == 204
    assert [each["current"] for each in listed(world, token)] == [True]


def test_those_of_api_keys_are_not_listed_and_they_see_the_persons(world: World, token: str) -> None:
    by_key = sign_in_with_key(world, a_key(world, token))
    own = bearer(world, token).session_id
    assert [(each["session_id"], each["current"]) for each in listed(world, token)] == [(own, True)]
    assert [(each["session_id"], each["current"]) for each in listed(world, by_key)] == [(own, False)]


def test_nobody_sees_those_of_others(world: World, distributor: Node, token: str) -> None:
    a_partner(world, distributor, "jacob@example.com")
    confirm(world, "jacob@example.com")
    other = sign_in(world, "jacob@example.com")["access_token"]
    for each in (token, other):
        assert [shown["session_id"] for shown in listed(world, each)] == [bearer(world, each).session_id]


def test_they_come_in_pages(world: World, token: str) -> None:
    for _ in range(2):
        world.advance(seconds=1)
        token = sign_in(world, EMAIL)["access_token"]
    first = world.request("identity.list_sessions", token, query={"limit": "2"}).json
    assert (len(first["items"]), first["total"]) == (2, 3)
    rest = listed(world, token, limit="2", cursor=first["next_cursor"])
    assert [each["created_at"] for each in rest] == ["2023-01-10T12:00:00Z"]


def test_it_is_for_who_is_signed_in(world: World) -> None:
    assert world.request("identity.list_sessions").status == 401
