from typing import Any

import pytest

from portal import keys
from portal.identity import throttle
from portal.identity.records import Security, User
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import Node
from tests.builders import (
    PASSWORD,
    a_partner,
    bearer,
    deliver_mail,
    forget_password,
    link_in,
    sign_in,
)
from tests.world import Answer, World

EMAIL = "office@north.example.com"
NEW = "an even longer walk at dusk"


@pytest.fixture
def token(world: World, distributor: Node) -> str:
    access_token: str = sign_in(world, EMAIL)["access_token"]
    return access_token


def change(world: World, token: str, current: str = PASSWORD, new: str = NEW, **values: Any) -> Answer:
    body = {"current": current, "new": new, "confirmation": new} | values
    return world.request("identity.change_password", token, body=body)


def said(node: Node) -> list[tuple[str, str]]:
    entries = query(AuditEntry, keys.node(node), "AUDIT")
    return [(e.description, e.status) for e in entries if e.activity == "security settings changed"]


def refused_sign_in(world: World, password: str) -> bool:
    answer = world.call("identity.sign_in", body={"email": EMAIL, "password": password})
    return answer.status == 401


def test_a_new_password_takes_the_place_of_the_present_one(
    world: World, token: str, distributor: Node
) -> None:
    answer = change(world, token)
    assert (answer.status, answer.text) == (204, "")
    assert refused_sign_in(world, PASSWORD)
    assert sign_in(world, EMAIL, NEW)["access_token"]
    assert said(distributor) == [("Changed the password", "completed")]
    [told] = deliver_mail(world)
    assert (told.to, told.subject) == (EMAIL, "Your password was changed")
    assert "on 2023-01-10 12:00 UTC with Chrome from 198.51.100.7" in told.text


def test_all_other_sessions_end_with_the_next_request_and_the_own_goes_on(
    world: World, distributor: Node, token: str
) -> None:
    partner = a_partner(world, distributor)
    path = {"partner_id": partner.partner}
    own, other = sign_in(world, EMAIL), sign_in(world, EMAIL)
    entered = [
        world.request("identity.access_partner", each["access_token"], path=path).json
        for each in (own, other)
    ]
    assert change(world, own["access_token"]).status == 204
    assert bearer(world, own["access_token"]).kind == "user"
    assert bearer(world, entered[0]["access_token"]).portal == partner
    for ended in (other, entered[1]):
        assert bearer(world, ended["access_token"]).refused == "session_ended"
        form = f"grant_type=refresh_token&refresh_token={ended['refresh_token']}"
        assert world.call("identity.issue_token", form=form).json["error"] == "invalid_grant"
    form = f"grant_type=refresh_token&refresh_token={own['refresh_token']}"
    assert world.call("identity.issue_token", form=form).status == 200
    assert bearer(world, token).refused == "session_ended"


def test_from_within_an_entered_portal_ones_own_password_is_changed(
    world: World, distributor: Node, token: str
) -> None:
    partner = a_partner(world, distributor)
    path = {"partner_id": partner.partner}
    entered = world.request("identity.access_partner", token, path=path).json["access_token"]
    assert change(world, entered).status == 204
    assert bearer(world, entered).portal == partner
    assert bearer(world, token).kind == "user"
    assert said(distributor) == [("Changed the password", "completed")]
    assert said(partner) == []


def test_a_wrong_present_password_is_refused_audited_and_changes_nothing(
    world: World, token: str, distributor: Node
) -> None:
    deliver_mail(world)
    answer = change(world, token, current="a wrong one")
    assert (answer.status, answer.code) == (400, "wrong_password")
    assert [error["field"] for error in answer.json["errors"]] == ["current"]
    assert said(distributor) == [("Changed the password", "failed")]
    assert sign_in(world, EMAIL)["access_token"]
    assert deliver_mail(world) == []


def test_who_guesses_has_to_wait(world: World, token: str) -> None:
    for _ in range(10):
        assert change(world, token, current="a wrong one").status == 400
    for current in ("a wrong one", PASSWORD):
        answer = change(world, token, current=current)
        assert (answer.status, answer.code) == (429, "too_many_attempts")
        assert int(answer.headers["Retry-After"]) == 900
    # Codes are counted by themselves.
    user_id = bearer(world, token).user_id
    for _ in range(10):
        throttle.attempt_code(user_id, world.now)
    world.advance(minutes=14, seconds=59)
    assert change(world, token).status == 429
    world.advance(seconds=1)
    fresh = sign_in(world, EMAIL)["access_token"]
    assert change(world, fresh).status == 204


def test_what_cannot_be_a_password_is_refused(world: World, token: str) -> None:
    for values, field in (
        ({"new": "short"}, "new"),
        ({"new": "x" * 129}, "new"),
        ({"new": "password1"}, "new"),
        ({"new": EMAIL.upper()}, "new"),
        ({"new": PASSWORD}, "new"),
        ({"confirmation": "something else entirely"}, "confirmation"),
        ({"current": ""}, "current"),
        ({"remember": True}, "remember"),
    ):
        answer = change(world, token, **values)
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.json["errors"][0]["field"] == field
    assert bearer(world, token).kind == "user"
    assert sign_in(world, EMAIL)["access_token"]


def test_the_same_password_typed_on_another_keyboard_is_the_same(world: World, token: str) -> None:
    assert change(world, token, new="caf\u00e9 au lait, twice").status == 204
    answer = change(world, token, current="cafe\u0301 au lait, twice", new="cafe\u0301 au lait, twice")
    assert [error["field"] for error in answer.json["errors"]] == ["new"]


def test_links_and_a_new_address_that_were_asked_for_before_are_void(
    world: World, token: str, distributor: Node
) -> None:
    [mailed] = forget_password(world, EMAIL)
    [user] = query(User, keys.node(distributor), keys.user())
    user.update(actions=[User.pending_email.set("new@example.com"), User.link_hash.set("hash")])
    assert change(world, token).status == 204
    [user] = query(User, keys.node(distributor), keys.user())
    assert (user.pending_email, user.link_hash, user.reset_hash) == (None, None, None)
    body = {"token": link_in(mailed), "new": "yet another one", "confirmation": "yet another one"}
    assert world.call("identity.reset_password", body=body).code == "invalid_link"
    assert sign_in(world, EMAIL, NEW)["access_token"]


def test_who_signs_in_with_a_provider_has_no_password_here(
    world: World, token: str, distributor: Node
) -> None:
    [user] = query(User, keys.node(distributor), keys.user())
    user.update(actions=[User.sign_in_type.set("google")])
    answer = change(world, token)
    assert (answer.status, answer.code) == (409, "no_password")


def test_it_is_for_people_who_are_signed_in(world: World, distributor: Node, token: str) -> None:
    assert change(world, "").status == 401
    caller = bearer(world, token)
    as_key = type(caller).from_context(caller.to_context() | {"client_id": "cid_1"})
    body = {"current": PASSWORD, "new": NEW, "confirmation": NEW}
    answer = world.call("identity.change_password", as_key, body=body)
    assert (answer.status, answer.code) == (403, "people_only")


def test_a_changed_password_expires_later(world: World, token: str, distributor: Node) -> None:
    Security(keys.node(distributor), keys.SECURITY, password_expires_after_days=10).save()
    world.advance(days=9)
    assert change(world, sign_in(world, EMAIL)["access_token"]).status == 204
    world.advance(days=9)
    assert sign_in(world, EMAIL, NEW)["access_token"]
