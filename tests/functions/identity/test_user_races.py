"""Users changed by many at once: one owner per e-mail address, and always an administrator."""

from collections import Counter
from typing import Any

import pytest

from portal import keys
from portal.identity.records import User, find_email_owner
from portal.scope import EVERYTHING, Caller
from portal.table import query
from portal.tenants.actions import get_tenant
from portal.tree import Node
from tests.builders import a_distributor, a_partner, a_user_of, an_email, deliver_mail, link_in
from tests.support.harness import Harness
from tests.world import World, administrator

pytestmark = pytest.mark.races
COPIES = 32
WANTED = "wanted@example.com"


def statuses(outcomes: Any) -> Counter[int]:
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert not failed, failed
    return Counter(outcome.result.status for outcome in outcomes)


def users_of(portal: Node) -> list[User]:
    return list(query(User, keys.node(portal), keys.user()))


def test_an_address_is_given_once_whatever_asks_for_it(world: World, harness: Harness) -> None:
    """New users, partners, and the confirmations of users and of a partner who asked for it before."""
    distributor, other = a_distributor(world), a_distributor(world, an_email())
    partner = a_partner(world, distributor)
    waiting = [a_user_of(world, portal) for portal in (distributor, other)]
    for user in waiting:
        path = {"user_id": user.user_id}
        world.call("identity.change_user", administrator(user.portal), path=path, body={"email": WANTED})
    world.call("settings.change_account_settings", administrator(partner), body={"email": WANTED})
    links = [link_in(mail) for mail in deliver_mail(world) if mail.to == WANTED]
    assert len(links) == 3

    def create(number: int) -> Any:
        portal = (distributor, other, partner)[number % 3]
        body = {"email": WANTED.upper() if number % 2 else WANTED, "name": "R", "role": "administrator"}
        return world.call("identity.create_user", administrator(portal), body=body)

    def confirm(number: int) -> Any:
        return world.call("identity.confirm_email", body={"token": links[number % 3]})

    def add_partner(number: int) -> Any:
        body = {"name": "P", "email": WANTED, "country": "LU"}
        return world.call(
            "partners.create_partner", administrator((distributor, other)[number % 2]), body=body
        )

    kinds = (create, confirm, add_partner, confirm)
    start = harness.snapshot()
    for seed in range(20):
        calls = [lambda n=number: kinds[n % 4](n // 4) for number in range(COPIES)]
        outcomes = harness.run_together(calls, seed=seed)
        assert set(statuses(outcomes)) <= {201, 204, 400, 409, 429}
        worked = [kinds[n % 4] for n, outcome in enumerate(outcomes) if outcome.result.status < 300]
        owner = find_email_owner(WANTED)
        assert owner is not None
        # Two of one portal can have it: a user, and the partner itself. A new partner has it for both.
        uses = sum(2 if kind is add_partner else 1 for kind in worked)
        assert uses == bool(owner.user_id) + owner.of_tenant
        home = Node.parse(owner.path)
        users = [user for node in {distributor, other, partner, home} for user in users_of(node)]
        having = [(user.node, user.user_id) for user in users if user.email.casefold() == WANTED]
        assert having == ([(home, owner.user_id)] if owner.user_id else [])
        tenants = [get_tenant(EVERYTHING, node) for node in {distributor, other, partner, home}]
        assert [each.node for each in tenants if each.email == WANTED] == ([home] if owner.of_tenant else [])
        harness.restore(start)


def test_one_administrator_is_left_when_all_remove_one_another(world: World, harness: Harness) -> None:
    distributor = a_distributor(world)
    admins = [a_user_of(world, distributor) for _ in range(3)]
    [first] = [user for user in users_of(distributor) if user.state == "invited"]
    world.call("identity.remove_user", admins[0], path={"user_id": first.user_id})
    above = administrator(distributor)

    def end(by: Caller, whom: Caller, number: int) -> Any:
        path = {"user_id": whom.user_id}
        if number % 3 == 0:
            return world.call("identity.remove_user", by, path=path)
        body = {"state": "disabled"} if number % 3 == 1 else {"role": "custom", "permissions": ["audit.view"]}
        return world.call("identity.change_user", by, path=path, body=body)

    start = harness.snapshot()
    for seed in range(20):
        calls = [
            lambda n=number: end(above if n % 5 == 0 else admins[n % 3], admins[(n + 1) % 3], n)
            for number in range(COPIES)
        ]
        counted = statuses(harness.run_together(calls, seed=seed))
        assert set(counted) <= {200, 204, 403, 404, 409}, counted
        left = [
            user for user in users_of(distributor) if user.role == "administrator" and user.state == "active"
        ]
        assert len(left) == 1, [(user.user_id, user.role, user.state) for user in left]
        harness.restore(start)
