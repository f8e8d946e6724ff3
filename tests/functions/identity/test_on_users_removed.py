import pytest

from portal import keys
from portal.accounts.rules import data_purged
from portal.identity.records import ApiClient, ApiKey, Credentials, Federated, User
from portal.table import Item, Update, query, stage, write
from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_account, bearer, confirm, sign_in, the_account
from tests.support.harness import EVERY_CRASH, Harness
from tests.trees import store
from tests.world import Context, World, administrator

EMAIL = "jacob@example.com"


@pytest.fixture
def distributor(world: World) -> Node:
    return a_distributor(world)


@pytest.fixture
def partner(world: World, distributor: Node) -> Node:
    """One whose administrator has signed in, has an API key and is known to a provider."""
    node = a_partner(world, distributor, EMAIL)
    confirm(world, EMAIL)
    give(node, bearer(world, sign_in(world, EMAIL)["access_token"]).user_id, "1")
    return node


def give(home: Node, user_id: str, name: str) -> None:
    """An API key and a federated identity."""
    where = {"user_path": str(home), "user_id": user_id}
    store(
        ApiKey(
            keys.node(home), keys.api_key(f"cid_{name}"), client_id=f"cid_{name}", user_id=user_id, name="K"
        ),
        ApiClient(*keys.client(f"cid_{name}"), client_id=f"cid_{name}", secret_hash="", **where),
        Federated(*keys.federated(f"hash_{name}"), identity_hash=f"hash_{name}", provider="google", **where),
    )
    known = next(iter(query(Credentials, *keys.credentials(user_id))), None)
    if known is None:
        store(Credentials(*keys.credentials(user_id), user_id=user_id, federated_hash=f"hash_{name}"))
    else:
        known.update(actions=[Credentials.federated_hash.set(f"hash_{name}")])


def left(user_id: str, home: Node, name: str) -> list[Item]:
    """What is left of what somebody signed in with."""
    return [
        *query(Item, keys.of_user(user_id)),
        *query(Item, keys.client(f"cid_{name}")[0]),
        *query(Item, keys.federated(f"hash_{name}")[0]),
        *query(Item, keys.node(home), keys.api_key()),
    ]


def the_user(home: Node) -> User:
    [user] = query(User, keys.node(home), keys.user())
    return user


def remove(world: World, distributor: Node, partner: Node) -> None:
    path = {"partner_id": partner.partner}
    assert world.call("partners.remove_partner", administrator(distributor), path=path).status == 204
    world.stream("notifications.deliver_outbox")


def test_all_that_the_user_signed_in_with_goes(world: World, distributor: Node, partner: Node) -> None:
    user_id = the_user(partner).user_id
    tokens = sign_in(world, EMAIL)
    session_id = bearer(world, tokens["access_token"]).session_id
    give(distributor, "usr_other", "2")
    before = len(left("usr_other", distributor, "2"))
    remove(world, distributor, partner)
    assert bearer(world, tokens["access_token"]).kind == "anonymous"
    assert world.work("identity.on_users_removed", "Forgotten") == 1
    assert left(user_id, partner, "1") == []
    assert list(query(Item, keys.session(session_id)[0])) == []
    assert len(left("usr_other", distributor, "2")) == before


def test_a_user_that_is_there_keeps_everything(world: World, partner: Node) -> None:
    user_id = the_user(partner).user_id
    before = len(left(user_id, partner, "1"))
    world.deliver("identity.on_users_removed", {"node": str(partner), "user_ids": [user_id, "usr_unknown"]})
    assert len(left(user_id, partner, "1")) == before >= 4
    assert sign_in(world, EMAIL)["access_token"]


def test_when_time_runs_short_it_goes_on(world: World, distributor: Node, partner: Node) -> None:
    user_id = the_user(partner).user_id
    remove(world, distributor, partner)
    world.context = Context(milliseconds=10_000)
    assert world.work("identity.on_users_removed", "Forgotten") > 4
    assert left(user_id, partner, "1") == []


def test_wherever_the_worker_dies_the_message_that_comes_again_does_the_rest(
    world: World, distributor: Node, partner: Node, harness: Harness
) -> None:
    user_id = the_user(partner).user_id
    remove(world, distributor, partner)
    [message] = world.messages("Forgotten")

    def taken() -> bool:
        try:
            world.deliver("identity.on_users_removed", message)
        except AssertionError:
            return False
        return True

    for run in harness.sweep(taken, EVERY_CRASH):
        assert taken(), run
        assert left(user_id, partner, "1") == [], run


def test_a_purged_account_leaves_nothing_of_its_users(world: World, distributor: Node) -> None:
    account = an_account(world, distributor, email="rosy@example.com")
    confirm(world, "rosy@example.com")
    user_id = bearer(world, sign_in(world, "rosy@example.com")["access_token"]).user_id
    give(account, user_id, "3")
    path, body = {"account_id": account.account}, {"approve_data_removal": True}
    removed = world.call("accounts.remove_account", administrator(distributor), path=path, body=body)
    assert removed.status < 300
    stored = the_account(account)
    write([stage(Update(stored, data_purged(stored, world.now)))])
    world.run("accounts.run_purge")
    world.work("accounts.on_purge", "Purge")
    world.stream("notifications.deliver_outbox")
    assert world.work("identity.on_users_removed", "Forgotten") == 1
    assert left(user_id, account, "3") == []


def test_an_identity_that_is_another_users_by_now_stays(
    world: World, distributor: Node, partner: Node
) -> None:
    user_id = the_user(partner).user_id
    [linked] = query(Federated, *keys.federated("hash_1"))
    linked.user_id = "usr_other"
    linked.save()
    remove(world, distributor, partner)
    assert world.work("identity.on_users_removed", "Forgotten") == 1
    assert [each.user_id for each in left(user_id, partner, "1")] == ["usr_other"]
