import pytest

from portal.access import accessible_to
from portal.identity.records import find_credentials, find_email_owner
from portal.scope import Caller
from portal.tree import VENDOR, Node
from tests.builders import (
    PASSWORD,
    a_distributor,
    a_partner,
    a_user_of,
    audit_trail,
    bearer,
    confirm,
    sign_in,
)
from tests.world import OPERATOR, Answer, World, administrator


@pytest.fixture
def distributor(world: World) -> Node:
    return a_distributor(world)


def remove(world: World, by: Caller, user_id: str) -> Answer:
    return world.call("identity.remove_user", by, path={"user_id": user_id})


def test_a_user_is_gone_with_all_of_it(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    user = a_user_of(world, distributor, accessible_accounts=[partner.partner])
    a_user_of(world, distributor)
    token = sign_in(world, user.email)["access_token"]
    by = administrator(distributor)
    answer = remove(world, by, user.user_id)
    assert (answer.status, answer.text) == (204, "")
    assert bearer(world, token).kind == "anonymous"
    credentials = {"email": user.email, "password": PASSWORD}
    assert world.call("identity.sign_in", body=credentials).status == 401
    assert world.call("identity.get_user", by, path={"user_id": user.user_id}).status == 404
    assert remove(world, by, user.user_id).status == 404
    assert accessible_to(user) == frozenset()
    assert find_email_owner(user.email) is None
    world.stream("notifications.deliver_outbox")
    world.work("identity.on_users_removed", "Forgotten")
    assert find_credentials(user.user_id) is None
    assert ("user management", f"Removed user {user.email}") in audit_trail(distributor)
    again = a_user_of(world, distributor, email=user.email)
    assert again.user_id != user.user_id


def test_an_administrator_is_always_left(world: World, distributor: Node) -> None:
    confirm(world, "office@north.example.com")
    first = bearer(world, sign_in(world, "office@north.example.com")["access_token"])
    above = Caller(
        kind="user",
        user_id="usr_operator",
        email="operator@example.com",
        home=VENDOR,
        portal=distributor,
        permissions=first.permissions,
    )
    answer = remove(world, above, first.user_id)
    assert (answer.status, answer.code) == (409, "last_administrator")
    second = a_user_of(world, distributor)
    assert remove(world, second, first.user_id).status == 204
    assert remove(world, above, second.user_id).code == "last_administrator"
    # The distributor keeps its own address, though nobody signs in with it any more.
    owner = find_email_owner("office@north.example.com")
    assert owner is not None and (owner.user_id, owner.of_tenant) == ("", True)
    credentials = {"email": "office@north.example.com", "password": PASSWORD}
    assert world.call("identity.sign_in", body=credentials).status == 401
    taken = {"name": "South", "email": "office@north.example.com", "country": "LU"}
    assert world.call("operators.create_distributor", OPERATOR, body=taken).code == "email_taken"
    assert a_user_of(world, distributor, email="office@north.example.com").home == distributor


def test_operators_have_users_too(world: World) -> None:
    first, second = (a_user_of(world, VENDOR, by=OPERATOR) for _ in range(2))
    billing = a_user_of(world, VENDOR, by=first, role="custom", permissions=["users.manage"])
    assert remove(world, billing, first.user_id).code == "holds_more"
    assert remove(world, second, first.user_id).status == 204
    assert remove(world, billing, second.user_id).code == "holds_more"
    assert remove(world, second, billing.user_id).status == 204
    assert remove(world, second, second.user_id).code == "locks_you_out"


def test_an_address_that_earlier_releases_gave_the_tenant_stays_its_own(
    world: World, distributor: Node
) -> None:
    """Their records did not say so."""
    partner = a_partner(world, distributor, "jacob@anderson.example.com")
    confirm(world, "jacob@anderson.example.com")
    other = a_user_of(world, partner)
    owner = find_email_owner("jacob@anderson.example.com")
    assert owner is not None
    first, owner.of_tenant = owner.user_id, False
    owner.save()
    assert remove(world, other, first).status == 204
    owner = find_email_owner("jacob@anderson.example.com")
    assert owner is not None and (owner.path, owner.user_id, owner.of_tenant) == (str(partner), "", True)
    path = {"partner_id": partner.partner}
    assert world.call("partners.remove_partner", administrator(distributor), path=path).status == 204
    assert find_email_owner("jacob@anderson.example.com") is None
