"""The same token, link or address used by many at once: exactly one effect."""

from collections import Counter
from itertools import count
from typing import Any

import pytest

from portal import keys
from portal.identity.records import User
from portal.notifications.messages import LinkWanted, mail
from portal.table import query
from portal.tree import Node
from tests.builders import (
    PASSWORD,
    a_distributor,
    bearer,
    confirm,
    deliver_mail,
    forget_password,
    link_in,
    sent_mails,
    sign_in,
)
from tests.support.harness import Harness
from tests.world import World, administrator

pytestmark = pytest.mark.races
COPIES = 32


def value(outcome: Any) -> Any:
    assert outcome.error is None, outcome.error
    return outcome.result


def test_copies_of_a_refresh_get_one_successor(world: World, harness: Harness) -> None:
    a_distributor(world)
    confirm(world, "office@north.example.com")
    token = sign_in(world, "office@north.example.com")["refresh_token"]
    form = f"grant_type=refresh_token&refresh_token={token}"
    for _, outcomes in harness.rounds(COPIES, lambda: world.call("identity.issue_token", form=form)):
        answers = [value(outcome) for outcome in outcomes]
        assert {answer.status for answer in answers} <= {200, 409}
        given = [answer.json for answer in answers if answer.status == 200]
        assert len({each["refresh_token"] for each in given}) == 1
        assert bearer(world, given[0]["access_token"]).kind == "user"


def test_copies_of_a_link_confirm_once(world: World, harness: Harness) -> None:
    distributor = a_distributor(world)
    [invitation] = deliver_mail(world)
    body = {"token": link_in(invitation), "password": PASSWORD}

    def confirm_it() -> Any:
        return world.call("identity.confirm_email", body=body)

    # Fewer rounds: those that find the link still there hash the password, and that takes its time.
    for _, outcomes in harness.rounds(COPIES, confirm_it, seeds=range(5)):
        counted = Counter(value(outcome).status for outcome in outcomes)
        assert counted[204] == 1
        assert set(counted) <= {204, 400, 409}
        assert sign_in(world, "office@north.example.com")["access_token"]
        assert [user.state for user in query(User, keys.node(distributor), keys.user())] == ["active"]


def test_copies_of_a_new_address_link_change_it_once(world: World, harness: Harness) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    [user] = query(User, keys.node(distributor), keys.user())
    user.update(actions=[User.pending_email.set("new@example.com")])
    link = LinkWanted(user_id=user.user_id, purpose="email", email="new@example.com")
    message = mail(
        distributor, to=[link.email], template="email_confirmation", parameters={"name": "N"}, link=link
    )
    world.deliver("notifications.on_mail_wanted", message.body)
    token = link_in(sent_mails()[-1])

    def confirm_it() -> Any:
        return world.call("identity.confirm_email", body={"token": token})

    for _, outcomes in harness.rounds(COPIES, confirm_it, seeds=range(2)):
        counted = Counter(value(outcome).status for outcome in outcomes)
        assert counted[204] == 1
        assert set(counted) <= {204, 400, 409}
        assert [each.email for each in query(User, keys.node(distributor), keys.user())] == [
            "new@example.com"
        ]
        assert sign_in(world, "new@example.com")["access_token"]


def test_copies_of_a_reset_set_the_password_once(world: World, harness: Harness) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    [mailed] = forget_password(world, "office@north.example.com")
    token, numbers = link_in(mailed), count()

    def reset() -> Any:
        new = f"a long walk, number {next(numbers)}"
        body = {"token": token, "new": new, "confirmation": new}
        return new, world.call("identity.reset_password", body=body)

    for _, outcomes in harness.rounds(COPIES, reset, seeds=range(2)):
        answers = [value(outcome) for outcome in outcomes]
        assert {answer.status for _, answer in answers} <= {204, 400, 409}
        [chosen] = [new for new, answer in answers if answer.status == 204]
        assert sign_in(world, "office@north.example.com", chosen)["access_token"]
        assert [user.session_epoch for user in query(User, keys.node(distributor), keys.user())] == [1]


def test_copies_of_a_password_change_change_it_once(world: World, harness: Harness) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    token, numbers = sign_in(world, "office@north.example.com")["access_token"], count()
    caller = bearer(world, token)

    def change() -> Any:
        new = f"a long walk, number {next(numbers)}"
        body = {"current": PASSWORD, "new": new, "confirmation": new}
        return new, world.call("identity.change_password", caller, body=body)

    for _, outcomes in harness.rounds(COPIES, change, seeds=range(1)):
        answers = [value(outcome) for outcome in outcomes]
        assert {answer.status for _, answer in answers} <= {204, 400, 409, 429}
        [chosen] = [new for new, answer in answers if answer.status == 204]
        assert bearer(world, token).kind == "user"
        assert sign_in(world, "office@north.example.com", chosen)["access_token"]
        assert [user.session_epoch for user in query(User, keys.node(distributor), keys.user())] == [1]


def test_an_address_is_given_once(world: World, harness: Harness) -> None:
    distributors = [a_distributor(world, f"{name}@example.com") for name in ("north", "south")]

    def create(distributor: Node, email: str) -> Any:
        body = {"name": "Jacob", "email": email, "country": "Israel"}
        return world.call("partners.create_partner", administrator(distributor), body=body)

    start = harness.snapshot()
    for seed in range(20):
        outcomes = harness.run_together(
            [
                lambda distributor=distributors[number % 2], email=f"{'Jj'[number % 2]}acob@example.com": (
                    create(distributor, email)
                )
                for number in range(COPIES)
            ],
            seed=seed,
        )
        counted = Counter(value(outcome).status for outcome in outcomes)
        assert counted == {201: 1, 409: COPIES - 1}
        lists = [
            world.call("partners.list_partners", administrator(each)).json["total"] for each in distributors
        ]
        assert sum(lists) == 3
        harness.restore(start)
