from datetime import timedelta

from portal import keys
from portal.identity.records import Security
from portal.tree import VENDOR, Node
from tests.trees import store
from tests.world import World


def a_policy(home: Node, **values: object) -> Security:
    made = Security(keys.node(home), keys.SECURITY, **values)
    store(made)
    return made


def test_every_portal_whose_turn_it_is_gets_one_message(world: World) -> None:
    due = {"password_expires_after_days": 90, "expiry_look_at": world.now}
    for home in (VENDOR, Node("dst_1"), Node("dst_1", "prt_1"), Node("dst_1", "direct", "acc_1")):
        a_policy(home, **due)
    a_policy(Node("dst_2"), **due | {"expiry_look_at": world.now + timedelta(seconds=1)})
    a_policy(Node("dst_3"), expiry_look_at=world.now)
    a_policy(Node("dst_4"), password_expires_after_days=90)
    assert world.run("identity.run_password_expiry")["messages"] == 4
    messages = world.messages("PasswordExpiry")
    assert sorted(each["portal"] for each in messages) == ["", "dst_1", "dst_1/direct/acc_1", "dst_1/prt_1"]
    assert {each["as_of"] for each in messages} == {"2023-01-10T12:00:00+00:00"}


def test_a_silent_job_still_finds_them(world: World) -> None:
    a_policy(Node("dst_1"), password_expires_after_days=90, expiry_look_at=world.now)
    world.advance(days=70)
    assert world.run("identity.run_password_expiry")["messages"] == 1


def test_a_policy_that_is_turned_off_is_not_looked_at(world: World) -> None:
    security = a_policy(Node("dst_1"), password_expires_after_days=90, expiry_look_at=world.now)
    security.password_expires_after_days = None
    security.index()
    security.save()
    assert world.run("identity.run_password_expiry")["messages"] == 0
