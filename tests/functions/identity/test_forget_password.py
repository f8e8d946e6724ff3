from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from portal import keys
from portal.identity import throttle
from portal.identity.records import User
from portal.journal import OutboxMessage
from portal.table import query
from portal.tree import Node
from tests.builders import (
    PASSWORD,
    a_distributor,
    a_partner,
    an_account,
    confirm,
    deliver_mail,
    forget_password,
    link_in,
    sign_in,
)
from tests.support.harness import Harness
from tests.world import Answer, World, administrator

EMAIL = "office@north.example.com"


def forgotten(world: World, email: Any, address: str = "198.51.100.7") -> Answer:
    return world.call("identity.forget_password", body={"email": email}, address=address)


def change_user(home: Node, **values: Any) -> None:
    [user] = query(User, keys.node(home), keys.user())
    user.update(actions=[getattr(User, name).set(value) for name, value in values.items()])


def reset(world: World, token: str, new: str = "an even longer walk at dusk") -> Answer:
    body = {"token": token, "new": new, "confirmation": new}
    return world.call("identity.reset_password", body=body)


def test_the_user_is_mailed_a_link_that_leads_to_the_portal(world: World, distributor: Node) -> None:
    [mailed] = forget_password(world, " OFFICE@North.example.com")
    assert (mailed.to, mailed.subject) == (EMAIL, "Set a new password")
    token = link_in(mailed)
    for part in (mailed.text, mailed.html):
        assert f"https://portal.example.com/reset-password#token={token}" in part
    assert reset(world, token).status == 204


def test_asking_changes_nothing_about_signing_in(world: World, distributor: Node) -> None:
    forget_password(world, EMAIL)
    assert sign_in(world, EMAIL)["access_token"]


def test_the_answer_and_the_work_are_the_same_whoever_is_asked_about(
    world: World, harness: Harness, distributor: Node
) -> None:
    partner = a_partner(world, distributor, "gone@example.com")
    confirm(world, "gone@example.com")
    path = {"partner_id": partner.partner}
    world.call("partners.remove_partner", administrator(distributor), path=path)
    a_partner(world, distributor, "invited@example.com")
    federated = a_partner(world, distributor, "google@example.com")
    change_user(federated, sign_in_type="google")
    answers, work = set(), Counter[tuple[str, ...]]()
    for email in (
        EMAIL,
        "invited@example.com",
        "google@example.com",
        "gone@example.com",
        "nobody@example.com",
        "not an address",
        "#|\N{GRINNING FACE}",
    ):
        before = len(harness.calls)
        answer = forgotten(world, email)
        answers.add((answer.status, answer.text))
        work[tuple(call.name for call in harness.calls[before:])] += 1
    assert answers == {(204, "")}
    assert work == {("dynamodb.UpdateItem", "dynamodb.UpdateItem", "dynamodb.PutItem"): 7}


def test_nobody_but_the_user_is_mailed(world: World, distributor: Node) -> None:
    for email in ("nobody@example.com", "office", "office@north.example.com.evil.example.com", "#|"):
        assert forget_password(world, email) == []
    [mailed] = forget_password(world, EMAIL)
    assert mailed.to == EMAIL


def test_a_disabled_user_or_one_of_a_removed_portal_is_mailed_nothing(
    world: World, distributor: Node
) -> None:
    account = an_account(world, distributor, email="rosy@example.com")
    confirm(world, "rosy@example.com")
    path, body = {"account_id": account.account}, {"approve_data_removal": True}
    removed = world.call("accounts.remove_account", administrator(distributor), path=path, body=body)
    assert removed.status < 300
    assert forget_password(world, "rosy@example.com") == []
    change_user(distributor, state="disabled")
    assert forget_password(world, EMAIL) == []


def test_nobody_voids_a_good_invitation_by_asking_for_a_password(world: World) -> None:
    a_distributor(world)
    [first] = deliver_mail(world)
    assert forget_password(world, EMAIL) == []
    body = {"token": link_in(first), "password": PASSWORD}
    assert world.call("identity.confirm_email", body=body).status == 204


def test_an_invited_user_is_invited_again_once_the_link_is_over(world: World) -> None:
    a_distributor(world)
    [first] = deliver_mail(world)
    world.advance(hours=24)
    [again] = forget_password(world, EMAIL)
    assert again.subject == first.subject
    body = {"password": PASSWORD}
    earlier = world.call("identity.confirm_email", body=body | {"token": link_in(first)})
    assert earlier.code == "invalid_link"
    assert world.call("identity.confirm_email", body=body | {"token": link_in(again)}).status == 204


@pytest.mark.parametrize(("kind", "name"), [("google", "Google"), ("microsoft", "Microsoft")])
def test_who_signs_in_with_a_provider_is_told_so_and_gets_no_link(
    world: World, distributor: Node, kind: str, name: str
) -> None:
    change_user(distributor, sign_in_type=kind)
    [mailed] = forget_password(world, EMAIL)
    assert mailed.subject == f"You sign in with {name}"
    assert "token=" not in mailed.text + mailed.html


def test_asking_again_voids_the_earlier_link(world: World, distributor: Node) -> None:
    first, second = (link_in(mail) for _ in range(2) for mail in forget_password(world, EMAIL))
    assert reset(world, first).code == "invalid_link"
    assert reset(world, second).status == 204


def test_a_link_goes_to_the_address_that_the_user_has_when_it_is_sent(
    world: World, distributor: Node
) -> None:
    deliver_mail(world)
    forgotten(world, EMAIL)
    world.stream("notifications.deliver_outbox")
    world.work("identity.on_password_forgotten", "PasswordsForgotten")
    change_user(distributor, email="new@example.com")
    assert deliver_mail(world) == []


def test_an_address_is_mailed_five_times_an_hour(world: World, distributor: Node) -> None:
    for number in range(5):
        assert forgotten(world, EMAIL, address=f"203.0.113.{number}").status == 204
    for email in (EMAIL, EMAIL.upper()):
        refused = forgotten(world, email, address="203.0.113.9")
        assert (refused.status, refused.code) == (429, "too_many_attempts")
        assert refused.headers["Retry-After"] == "3600"
    for number in range(5):
        assert forgotten(world, "nobody@example.com", address=f"203.0.113.{number}").status == 204
    assert forgotten(world, "nobody@example.com").text == refused.text
    world.advance(hours=1)
    assert forgotten(world, EMAIL).status == 204


def test_who_asks_about_many_has_to_wait(world: World) -> None:
    statuses = Counter(forgotten(world, f"{number}@example.com").status for number in range(101))
    assert statuses == {204: 100, 429: 1}
    assert forgotten(world, "0@example.com", address="203.0.113.1").status == 204


def test_the_addresses_of_one_ipv6_network_count_as_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "OF_ONE_ADDRESS", throttle.Limit(2, timedelta(minutes=15)))
    asked = [forgotten(world, f"{n}@example.com", address=f"2001:db8::{n}").status for n in range(1, 4)]
    assert asked == [204, 204, 429]


def test_no_secret_is_stored_queued_or_kept_with_other_tenants(world: World, distributor: Node) -> None:
    [mailed] = forget_password(world, EMAIL)
    forget_password(world, "nobody@example.com")
    waiting = [
        *query(OutboxMessage, keys.password_forgotten(EMAIL, "")[0]),
        *query(OutboxMessage, keys.password_forgotten("nobody@example.com", "")[0]),
        *query(OutboxMessage, keys.node(distributor), "OUTBOX"),
    ]
    assert {item.queue for item in waiting} == {"PasswordsForgotten", "Mail"}
    assert all(item.expires_at for item in waiting)
    assert not any(link_in(mailed) in str(item.attribute_values) for item in waiting)


def test_a_request_is_checked_for_its_form(world: World) -> None:
    for body in (
        {},
        {"email": ""},
        {"email": "x" * 255},
        {"email": ["a"]},
        {"email": "a@example.com", "x": 1},
    ):
        answer = world.call("identity.forget_password", body=body)
        assert (answer.status, answer.code) == (400, "invalid")
