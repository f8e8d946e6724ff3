from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal import keys
from portal.identity import password_expiry
from portal.identity.records import Credentials, Security
from portal.table import find
from portal.tree import Node
from tests.builders import PASSWORD, a_distributor, confirm, deliver_mail, sent_mails, sign_in
from tests.support.harness import EVERY_CRASH, Harness
from tests.trees import a_user, store
from tests.world import Context, World, administrator

EMAIL = "office@north.example.com"
SET = datetime(2023, 1, 10, 12, tzinfo=UTC)
"""When the world begins, and the password was chosen."""


@pytest.fixture
def distributor(world: World) -> Node:
    """One whose passwords expire after 30 days."""
    node = a_distributor(world)
    confirm(world, EMAIL)
    expire(world, node, 30)
    return node


def expire(world: World, node: Node, days: int | None) -> None:
    """What changing the policy writes."""
    security = find(Security, keys.node(node), keys.SECURITY) or Security(keys.node(node), keys.SECURITY)
    security.password_expires_after_days, security.expiry_look_at = days, world.now
    security.index()
    security.save()


def night(world: World, *, times: int = 1) -> list[str]:
    """Let the job and its worker run; returns the subjects of the mails that went out."""
    for _ in range(times):
        world.run("identity.run_password_expiry")
        world.work("identity.on_password_expiry_due", "PasswordExpiry")
    return [mail.subject for mail in deliver_mail(world)]


def taken(world: World, message: dict[str, Any]) -> bool:
    """Whether the worker is done with the message."""
    try:
        world.deliver("identity.on_password_expiry_due", message)
    except AssertionError:
        return False
    return True


def go_to(world: World, day: int, hour: int = 1) -> None:
    """Days after the one on which the password was chosen."""
    world.now = SET.replace(hour=hour) + timedelta(days=day)


WARNING = "Your password expires on 2023-02-09"


def test_users_are_warned_14_7_and_1_days_before_once_each(world: World, distributor: Node) -> None:
    warned = {}
    for day in (1, 15, 16, 17, 22, 23, 24, 28, 29, 30, 31):
        go_to(world, day)
        if subjects := night(world, times=2):
            warned[day] = subjects
    assert warned == {16: [WARNING], 23: [WARNING], 29: [WARNING]}
    answer = world.call("identity.sign_in", body={"email": EMAIL, "password": PASSWORD})
    assert answer.json["challenge"] == "password_expired"


def test_the_mail_says_who_when_and_where_to_go(world: World, distributor: Node) -> None:
    go_to(world, 16)
    world.run("identity.run_password_expiry")
    world.work("identity.on_password_expiry_due", "PasswordExpiry")
    [mailed] = deliver_mail(world)
    assert (mailed.to, mailed.subject) == (EMAIL, WARNING)
    assert "2023-02-09 (UTC)" in mailed.text
    assert "https://portal.example.com/me/password" in mailed.html


@pytest.mark.parametrize(
    ("nights", "warned"),
    [
        ([15, 18, 19, 25, 30], [18, 25]),
        ([20, 24, 29], [20, 24, 29]),
        ([15, 28, 29], [28, 29]),
        ([15, 30], []),
        ([15, 60], []),
    ],
)
def test_a_night_that_was_missed_is_made_up_for_with_the_nearest_warning_once(
    world: World, distributor: Node, nights: list[int], warned: list[int]
) -> None:
    seen = []
    for day in nights:
        go_to(world, day)
        seen += [day] * len(night(world))
    assert seen == warned


def test_days_are_those_of_utc(world: World, distributor: Node) -> None:
    go_to(world, 15, 23)
    assert night(world) == []
    go_to(world, 16, 0)
    assert night(world) == [WARNING]


def test_a_portal_is_looked_at_once_a_day(world: World, distributor: Node) -> None:
    night(world)
    assert world.run("identity.run_password_expiry")["messages"] == 0
    go_to(world, 1, 0)
    assert world.run("identity.run_password_expiry")["messages"] == 1


def test_a_new_password_is_warned_of_anew(world: World, distributor: Node) -> None:
    go_to(world, 16)
    assert night(world) == [WARNING]
    token = sign_in(world, EMAIL)["access_token"]
    body = {"current": PASSWORD, "new": "a long run instead", "confirmation": "a long run instead"}
    assert world.request("identity.change_password", token, body=body).status == 204
    deliver_mail(world)
    for day in (23, 29):
        go_to(world, day)
        assert night(world) == []
    go_to(world, 16 + 16)
    assert night(world) == ["Your password expires on 2023-02-25"]


def test_a_shorter_policy_warns_at_once(world: World, distributor: Node) -> None:
    go_to(world, 16)
    assert night(world) == [WARNING]
    expire(world, distributor, 20)
    assert night(world) == ["Your password expires on 2023-01-30"]
    expire(world, distributor, None)
    go_to(world, 17)
    assert night(world) == []


def test_only_those_who_sign_in_with_a_password_are_warned(world: World, distributor: Node) -> None:
    for name, values in (
        ("google", {"sign_in_type": "google"}),
        ("invited", {"state": "invited"}),
        ("disabled", {"state": "disabled"}),
        ("without", {}),
        ("colleague", {}),
    ):
        user = a_user(administrator(distributor, f"usr_{name}", f"{name}@example.com"), SET)
        for attribute, value in values.items():
            setattr(user, attribute, value)
        store(user)
        if name != "without":
            user_id = user.user_id
            store(
                Credentials(
                    *keys.credentials(user_id), user_id=user_id, password_hash="h", password_set_at=SET
                )
            )
    go_to(world, 16)
    world.run("identity.run_password_expiry")
    world.work("identity.on_password_expiry_due", "PasswordExpiry")
    assert sorted(mail.to for mail in deliver_mail(world)) == ["colleague@example.com", EMAIL]


def test_when_time_runs_short_it_goes_on_with_the_rest(
    world: World, distributor: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password_expiry, "_USERS_AT_A_TIME", 1)
    for number in range(2):
        user = a_user(administrator(distributor, f"usr_{number}", f"{number}@example.com"), SET)
        credentials = Credentials(
            *keys.credentials(user.user_id), user_id=user.user_id, password_hash="h", password_set_at=SET
        )
        store(user, credentials)
    go_to(world, 16)
    world.run("identity.run_password_expiry")
    world.context = Context(milliseconds=10_000)
    assert world.work("identity.on_password_expiry_due", "PasswordExpiry") == 4
    world.context = Context()
    assert sorted(mail.to for mail in deliver_mail(world)) == ["0@example.com", "1@example.com", EMAIL]
    assert world.run("identity.run_password_expiry")["messages"] == 0


def test_what_an_earlier_message_left_is_void_under_another_policy(world: World, distributor: Node) -> None:
    go_to(world, 16)
    message: dict[str, Any] = {"portal": str(distributor), "days": 90, "after": ""}
    world.deliver("identity.on_password_expiry_due", message)
    assert deliver_mail(world) == []
    assert night(world) == [WARNING]


def test_wherever_the_worker_dies_and_however_late_it_comes_again_one_mail_goes_out(
    world: World, distributor: Node, harness: Harness
) -> None:
    go_to(world, 16)
    world.run("identity.run_password_expiry")
    [message] = world.messages("PasswordExpiry")

    for run in harness.sweep(lambda: taken(world, message), EVERY_CRASH):
        for hours in (0, 25):
            world.advance(hours=hours)
            assert taken(world, message), run
            deliver_mail(world)
        assert [mail.subject for mail in sent_mails()].count(WARNING) == 1, run


def test_a_portal_that_asks_for_nothing_is_left_alone(world: World) -> None:
    world.deliver("identity.on_password_expiry_due", {"portal": "dst_unknown"})
    assert deliver_mail(world) == []
