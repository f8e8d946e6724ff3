from typing import Any

import pytest

from portal import keys
from portal.identity.records import User
from portal.table import query
from portal.tree import Node
from tests.builders import deliver_mail, link_in
from tests.support.harness import EVERY_CRASH, Harness
from tests.world import World

EMAIL = "office@north.example.com"


@pytest.fixture
def message(world: World, distributor: Node) -> dict[str, Any]:
    deliver_mail(world)
    world.call("identity.forget_password", body={"email": EMAIL})
    world.stream("notifications.deliver_outbox")
    [taken] = world.messages("PasswordsForgotten")
    return taken


def taken(world: World, message: dict[str, Any]) -> bool:
    """Whether the worker is done with the message."""
    try:
        world.deliver("identity.on_password_forgotten", message)
    except AssertionError:
        return False
    return True


def test_a_message_that_comes_again_mails_nothing_more(world: World, message: dict[str, Any]) -> None:
    world.deliver("identity.on_password_forgotten", message)
    [mailed] = deliver_mail(world)
    for _ in range(2):
        world.deliver("identity.on_password_forgotten", message)
    assert deliver_mail(world) == []
    body = {"token": link_in(mailed), "new": "another long one", "confirmation": "another long one"}
    assert world.call("identity.reset_password", body=body).status == 204


def test_an_address_that_nobody_has_by_now_is_mailed_nothing(world: World, message: dict[str, Any]) -> None:
    world.deliver("identity.on_password_forgotten", message | {"email": "nobody@example.com"})
    assert deliver_mail(world) == []


def test_wherever_the_worker_dies_one_mail_goes_out(
    world: World, harness: Harness, message: dict[str, Any], distributor: Node
) -> None:
    runs = 0
    for run in harness.sweep(lambda: taken(world, message), EVERY_CRASH):
        assert taken(world, message), run
        mailed = deliver_mail(world)
        assert [mail.to for mail in mailed] == [EMAIL], run
        [user] = query(User, keys.node(distributor), keys.user())
        assert user.reset_hash is not None
        runs += 1
    assert runs >= 9
