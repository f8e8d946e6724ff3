import pytest

from portal import keys
from portal.identity.records import User, find_credentials
from portal.journal import AuditEntry, OutboxMessage
from portal.notifications.messages import LinkWanted, mail
from portal.table import query
from portal.tree import VENDOR, Node
from tests.builders import (
    PASSWORD,
    a_distributor,
    deliver_mail,
    forget_password,
    link_in,
    sent_mails,
    sign_in,
)
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


@pytest.mark.parametrize("kind", ["google", "microsoft"])
def test_who_signs_in_with_a_provider_confirms_without_a_password(
    world: World, token: str, distributor: Node, kind: str
) -> None:
    [user] = query(User, keys.node(distributor), keys.user())
    user.update(actions=[User.sign_in_type.set(kind)])
    refused = confirm(world, token)
    assert (refused.status, refused.code) == (400, "invalid")
    assert [error["field"] for error in refused.json["errors"]] == ["password"]
    assert world.call("identity.confirm_email", body={"token": token}).status == 204
    [user] = query(User, keys.node(distributor), keys.user())
    assert (user.state, user.link_hash) == ("active", None)
    assert find_credentials(user.user_id) is None


def test_who_signs_in_with_a_password_chooses_one(world: World, token: str, distributor: Node) -> None:
    answer = world.call("identity.confirm_email", body={"token": token})
    assert [error["field"] for error in answer.json["errors"]] == ["password"]
    [user] = query(User, keys.node(distributor), keys.user())
    assert user.state == "invited"
    assert confirm(world, token).status == 204


class TestNewAddresses:
    """Links that confirm a user's new address."""

    NEW = "new@north.example.com"

    @pytest.fixture
    def new(self, world: World, token: str, distributor: Node) -> str:
        """The token that was mailed to the new address."""
        assert confirm(world, token).status == 204
        [user] = query(User, keys.node(distributor), keys.user())
        link = LinkWanted(user_id=user.user_id, purpose="email", email=self.NEW)
        message = mail(
            distributor, to=[self.NEW], template="email_confirmation", parameters={"name": "N"}, link=link
        )
        user.update(actions=[User.pending_email.set(self.NEW)])
        world.deliver("notifications.on_mail_wanted", message.body)
        return link_in(sent_mails()[-1])

    def confirm(self, world: World, token: str) -> Answer:
        return world.call("identity.confirm_email", body={"token": token})

    def test_it_takes_the_place_of_the_old_one_a_second_before_the_day_is_over(
        self, world: World, new: str, distributor: Node
    ) -> None:
        world.advance(hours=23, minutes=59, seconds=59)
        assert self.confirm(world, new).status == 204
        assert sign_in(world, self.NEW)["access_token"]
        answer = world.call(
            "identity.sign_in", body={"email": "office@north.example.com", "password": PASSWORD}
        )
        assert answer.code == "invalid_credentials"
        assert self.confirm(world, new).code == "invalid_link"

    def test_it_does_not_when_the_day_is_over(self, world: World, new: str) -> None:
        world.advance(hours=24)
        assert self.confirm(world, new).code == "invalid_link"
        assert sign_in(world, "office@north.example.com")["access_token"]

    def test_no_password_is_chosen_by_it(self, world: World, new: str) -> None:
        answer = confirm(world, new, "another long password")
        assert [error["field"] for error in answer.json["errors"]] == ["password"]
        assert self.confirm(world, new).status == 204
        assert sign_in(world, self.NEW)["access_token"]

    def test_a_changed_password_voids_it(self, world: World, new: str) -> None:
        [reset] = forget_password(world, "office@north.example.com")
        body = {"token": link_in(reset), "new": "a long run instead", "confirmation": "a long run instead"}
        assert world.call("identity.reset_password", body=body).status == 204
        assert self.confirm(world, new).code == "invalid_link"


@pytest.mark.parametrize("token", ["", "nonsense", "dpl_", "dpl_\u0000", "x" * 101])
def test_what_is_no_link_is_refused(world: World, token: str) -> None:
    assert confirm(world, token).status == 400


def test_no_secret_is_stored_or_queued(world: World, distributor: Node) -> None:
    [invitation] = deliver_mail(world)
    secret = link_in(invitation)
    stored = [str(item.attribute_values) for item in query(OutboxMessage, keys.node(distributor), "OUTBOX")]
    assert stored
    assert not any(secret in item for item in stored)
