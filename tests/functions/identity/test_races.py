"""The same token, link or address used by many at once: exactly one effect."""

from collections import Counter
from typing import Any

import pytest

from portal import keys
from portal.identity.records import User
from portal.table import query
from portal.tree import Node
from tests.builders import PASSWORD, a_distributor, bearer, confirm, deliver_mail, link_in, sign_in
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
