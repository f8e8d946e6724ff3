from dataclasses import replace

import pytest

from portal import keys
from portal.identity import tokens
from portal.identity.records import ApiKey, find_api_client
from portal.journal import AuditEntry
from portal.scope import Caller
from portal.table import query
from portal.tree import Node
from tests.builders import (
    a_partner,
    an_api_key,
    bearer,
    client_tokens,
    confirm,
    sign_in,
)
from tests.support.harness import Harness
from tests.world import World, administrator


@pytest.fixture
def owner(world: World, distributor: Node) -> Caller:
    return bearer(world, sign_in(world, "office@north.example.com")["access_token"])


def test_id_and_secret_are_answered_once_and_only_a_hash_is_kept(
    world: World, owner: Caller, harness: Harness
) -> None:
    once = {"Idempotency-Key": "once"}
    answers = [
        world.call("identity.create_api_key", owner, body={"name": " Reporting "}, headers=once) for _ in "ab"
    ]
    first, second = (answer.json for answer in answers)
    assert [answer.status for answer in answers] == [201, 201]
    assert set(first) == {"client_id", "client_secret", "name", "created_at"}
    assert first["name"] == "Reporting"
    assert first["client_id"].startswith("cid_")
    assert first["client_secret"].startswith("dps_")
    assert len(first["client_secret"]) == 47, "256 bits"
    assert first["client_secret"] != second["client_secret"], "no secret is kept for a repeated request"
    stored = find_api_client(first["client_id"])
    assert stored is not None
    assert stored.secret_hash == tokens.hashed(first["client_secret"])
    assert first["client_secret"].removeprefix("dps_") not in str(harness.items())
    assert bearer(world, client_tokens(world, first)["access_token"]).user_id == owner.user_id


def test_a_new_key_is_audited(world: World, owner: Caller, distributor: Node) -> None:
    key = an_api_key(world, owner)
    told = [
        (entry.description, entry.performed_by)
        for entry in query(AuditEntry, keys.node(distributor), "AUDIT")
        if entry.activity == "API key changed"
    ]
    assert told == [(f"Created API key Reporting ({key['client_id']})", "office@north.example.com")]


def test_api_keys_make_no_api_keys(world: World, owner: Caller) -> None:
    by_key = bearer(world, client_tokens(world, an_api_key(world, owner))["access_token"])
    answer = world.call("identity.create_api_key", by_key, body={"name": "Another"})
    assert (answer.status, answer.code) == (403, "people_only")


def test_nobody_makes_a_key_in_a_portal_that_they_entered(
    world: World, owner: Caller, distributor: Node
) -> None:
    partner = a_partner(world, distributor)
    entered = world.call("identity.access_partner", owner, path={"partner_id": partner.partner}).json
    inside = bearer(world, entered["access_token"])
    answer = world.call("identity.create_api_key", inside, body={"name": "Support"})
    assert (answer.status, answer.code) == (403, "own_portal_only")
    assert not list(query(ApiKey, keys.node(partner), keys.api_key()))
    assert not list(query(ApiKey, keys.node(distributor), keys.api_key()))


def test_it_takes_the_permission_and_a_name(world: World, owner: Caller) -> None:
    without = replace(owner, permissions=owner.permissions - {"integrations.manage"})
    assert world.call("identity.create_api_key", without, body={"name": "x"}).status == 403
    for body in ({}, {"name": " "}, {"name": "x" * 121}, {"name": "x", "scope": "all"}, {"name": "a\nb"}):
        answer = world.call("identity.create_api_key", owner, body=body)
        assert (answer.status, answer.code) == (400, "invalid")


def test_a_user_has_at_most_twenty(world: World, owner: Caller, distributor: Node) -> None:
    for number in range(20):
        an_api_key(world, owner, f"Key {number}")
    answer = world.call("identity.create_api_key", owner, body={"name": "One more"})
    assert (answer.status, answer.code) == (409, "too_many_api_keys")
    # What others have does not count.
    [first, *_] = query(ApiKey, keys.node(distributor), keys.api_key())
    first.update(actions=[ApiKey.user_id.set("usr_another")])
    assert world.call("identity.create_api_key", owner, body={"name": "One more"}).status == 201


@pytest.mark.races
def test_keys_made_at_once_do_not_pass_the_limit(
    world: World, owner: Caller, distributor: Node, harness: Harness
) -> None:
    for number in range(18):
        an_api_key(world, owner, f"Key {number}")

    def one_more() -> int:
        status: int = world.call("identity.create_api_key", owner, body={"name": "One more"}).status
        return status

    for _, outcomes in harness.rounds(6, one_more, seeds=range(5)):
        made = [outcome.result for outcome in outcomes]
        assert set(made) <= {201, 409}
        assert made.count(201) <= 2
        stored = list(query(ApiKey, keys.node(distributor), keys.api_key()))
        assert len(stored) == 18 + made.count(201)
        assert None not in [find_api_client(key.client_id) for key in stored]


def test_customers_have_their_own_keys(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    confirm(world, "jacob@anderson.example.com")
    jacob = bearer(world, sign_in(world, "jacob@anderson.example.com")["access_token"])
    caller = bearer(world, client_tokens(world, an_api_key(world, jacob))["access_token"])
    assert (caller.home, caller.portal, caller.permissions) == (partner, partner, jacob.permissions)
    assert caller.permissions == administrator(partner).permissions
