from datetime import timedelta
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
    [mailed] = forget_password(world, EMAIL)
    return link_in(mailed)


def reset(world: World, token: str, new: str = NEW, address: str = "198.51.100.7", **values: Any) -> Answer:
    body = {"token": token, "new": new, "confirmation": new} | values
    return world.call("identity.reset_password", body=body, address=address)


def test_the_link_sets_a_new_password_and_signs_nobody_in(
    world: World, distributor: Node, token: str
) -> None:
    answer = reset(world, token)
    assert (answer.status, answer.text) == (204, "")
    refused = world.call("identity.sign_in", body={"email": EMAIL, "password": PASSWORD})
    assert refused.code == "invalid_credentials"
    assert sign_in(world, EMAIL, NEW)["access_token"]
    told = [
        (e.description, e.performed_by, e.status) for e in query(AuditEntry, keys.node(distributor), "AUDIT")
    ]
    assert told.count(("Reset the password by a mailed link", EMAIL, "completed")) == 1
    [mailed] = deliver_mail(world)
    assert (mailed.to, mailed.subject) == (EMAIL, "Your password was changed")


def test_all_sessions_end_with_the_next_request(world: World, distributor: Node, token: str) -> None:
    partner = a_partner(world, distributor)
    sessions = [sign_in(world, EMAIL) for _ in range(2)]
    path = {"partner_id": partner.partner}
    sessions += [world.request("identity.access_partner", sessions[0]["access_token"], path=path).json]
    assert reset(world, token).status == 204
    for each in sessions:
        assert bearer(world, each["access_token"]).refused == "session_ended"
        form = f"grant_type=refresh_token&refresh_token={each['refresh_token']}"
        assert world.call("identity.issue_token", form=form).json["error"] == "invalid_grant"


def test_a_link_is_good_until_a_second_before_its_day_is_over(world: World, token: str) -> None:
    world.advance(hours=23, minutes=59, seconds=59)
    assert reset(world, token).status == 204


def test_a_link_is_over_after_a_day(world: World, token: str) -> None:
    world.advance(hours=24)
    answer = reset(world, token)
    assert (answer.status, answer.code) == (400, "invalid_link")
    assert sign_in(world, EMAIL)["access_token"]


def test_a_link_works_once(world: World, token: str) -> None:
    assert reset(world, token).status == 204
    assert reset(world, token, "another long password").code == "invalid_link"
    assert sign_in(world, EMAIL, NEW)["access_token"]


def test_what_cannot_be_a_password_is_refused_and_does_not_use_up_the_link(world: World, token: str) -> None:
    for values, field in (
        ({"new": "short"}, "new"),
        ({"new": "QWERTYUIOP"}, "new"),
        ({"new": EMAIL}, "new"),
        ({"new": PASSWORD}, "new"),
        ({"confirmation": "something else entirely"}, "confirmation"),
        ({"email": EMAIL}, "email"),
    ):
        answer = reset(world, token, **values)
        assert (answer.status, answer.code) == (400, "invalid")
        assert answer.json["errors"][0]["field"] == field
    assert reset(world, token).status == 204


def test_the_second_factor_stays_on(world: World, distributor: Node, token: str) -> None:
    [user] = query(User, keys.node(distributor), keys.user())
    user.update(actions=[User.two_factor.set(True)])
    assert reset(world, token).status == 204
    answer = world.call("identity.sign_in", body={"email": EMAIL, "password": NEW})
    assert answer.json["challenge"] == "totp"
    assert "access_token" not in answer.json


def test_wrong_codes_are_forgotten_with_the_password_three_times_a_day(
    world: World, distributor: Node, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "OF_CODES", (throttle.Limit(1, timedelta(days=2)),))
    monkeypatch.setattr(throttle, "RESETS_THAT_CLEAR", throttle.Limit(1, timedelta(days=1)))
    [user] = query(User, keys.node(distributor), keys.user())
    for number, waits in enumerate((False, True)):
        throttle.attempt_code(user.user_id, world.now)
        with pytest.raises(throttle.TooManyAttempts):
            throttle.attempt_code(user.user_id, world.now)
        link = link_in(forget_password(world, EMAIL)[-1]) if number else token
        assert reset(world, link, f"{NEW} {number}").status == 204
        if waits:
            with pytest.raises(throttle.TooManyAttempts):
                throttle.attempt_code(user.user_id, world.now)
        else:
            throttle.attempt_code(user.user_id, world.now)
            throttle.succeeded_code(user.user_id)


def test_a_disabled_user_sets_no_password(world: World, distributor: Node, token: str) -> None:
    [user] = query(User, keys.node(distributor), keys.user())
    user.update(actions=[User.state.set("disabled")])
    assert reset(world, token).code == "invalid_link"


def test_from_an_address_that_the_portal_does_not_list_it_is_refused_and_the_link_stays_good(
    world: World, distributor: Node, token: str
) -> None:
    entries = [{"addresses": ["198.51.100.7"]}]
    Security(keys.node(distributor), keys.SECURITY, ip_restricted=True, ip_entries=entries).save()
    answer = reset(world, token, address="203.0.113.1")
    assert (answer.status, answer.code) == (403, "access_denied")
    assert reset(world, token).status == 204


def test_a_link_is_good_for_its_own_purpose_only(world: World, distributor: Node, token: str) -> None:
    a_partner(world, distributor, "jacob@example.com")
    [invitation] = [mail for mail in deliver_mail(world) if mail.to == "jacob@example.com"]
    assert reset(world, link_in(invitation)).code == "invalid_link"
    for body in ({"token": token}, {"token": token, "password": NEW}):
        assert world.call("identity.confirm_email", body=body).code == "invalid_link"
    assert reset(world, token).status == 204


def test_what_is_no_link_is_refused(world: World, distributor: Node) -> None:
    access = sign_in(world, EMAIL)
    for token in ("nonsense", "dpl_", "dpl_\u0000", access["access_token"], access["refresh_token"][:100]):
        assert reset(world, token).code == "invalid_link"
    for token in ("", "x" * 101):
        assert reset(world, token).code == "invalid"
