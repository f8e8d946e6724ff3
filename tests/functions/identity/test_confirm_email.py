import pytest

from portal import keys
from portal.identity.records import User
from portal.journal import AuditEntry, OutboxMessage
from portal.table import query
from portal.tree import VENDOR, Node
from tests.builders import PASSWORD, a_distributor, deliver_mail, link_in, sign_in
from tests.world import Answer, World


@pytest.fixture
def distributor(world: World) -> Node:
    return a_distributor(world)


@pytest.fixture
def token(world: World, distributor: Node) -> str:
    [invitation] = deliver_mail(world)
    return link_in(invitation)


def confirm(world: World, token: str, password: str = PASSWORD) -> Answer:
    return world.call("identity.confirm_email", body={"token": token, "password": password})


def test_following_the_link_sets_the_password(world: World, token: str, distributor: Node) -> None:
    answer = confirm(world, token)
    assert (answer.status, answer.text) == (204, "")
    assert sign_in(world, "office@north.example.com")["access_token"]
    entries = list(query(AuditEntry, keys.node(distributor), "AUDIT"))
    said = [(entry.activity, entry.performed_by, entry.description) for entry in entries]
    assert (
        "user management",
        "office@north.example.com",
        "Confirmed e-mail address office@north.example.com",
    ) in said


def test_a_link_is_good_until_a_second_before_its_day_is_over(world: World, token: str) -> None:
    world.advance(hours=23, minutes=59, seconds=59)
    assert confirm(world, token).status == 204


def test_a_link_is_over_after_a_day(world: World, token: str) -> None:
    world.advance(hours=24)
    answer = confirm(world, token)
    assert (answer.status, answer.code) == (400, "invalid_link")


def test_a_link_works_once(world: World, token: str) -> None:
    assert confirm(world, token).status == 204
    answer = confirm(world, token, "another long password")
    assert (answer.status, answer.code) == (400, "invalid_link")
    assert sign_in(world, "office@north.example.com", PASSWORD)["access_token"]


def test_a_later_link_voids_the_earlier(world: World) -> None:
    event = {"email": "olga@vendor.example.com", "name": "Olga"}
    for _ in range(2):
        world.handler("operators.create_first_operator")(event, world.context)
    first, second = (link_in(mail) for mail in deliver_mail(world))
    assert confirm(world, first).code == "invalid_link"
    assert confirm(world, second).status == 204
    assert [user.state for user in query(User, keys.node(VENDOR), keys.user())] == ["active"]


def test_a_weak_password_is_refused_and_does_not_use_up_the_link(world: World, token: str) -> None:
    for password in (
        "short",
        "x" * 129,
        "password1",
        "QWERTYUIOP",
        "office@north.example.com",
        "OFFICE@north.example.com",
    ):
        answer = confirm(world, token, password)
        assert (answer.status, answer.code) == (400, "invalid")
        assert [error["field"] for error in answer.json["errors"]] == ["password"]
    assert confirm(world, token).status == 204


@pytest.mark.parametrize("token", ["", "nonsense", "dpl_", "dpl_\u0000", "x" * 101])
def test_what_is_no_link_is_refused(world: World, token: str) -> None:
    assert confirm(world, token).status == 400


def test_no_secret_is_stored_or_queued(world: World, distributor: Node) -> None:
    [invitation] = deliver_mail(world)
    secret = link_in(invitation)
    stored = [str(item.attribute_values) for item in query(OutboxMessage, keys.node(distributor), "OUTBOX")]
    assert stored
    assert not any(secret in item for item in stored)
