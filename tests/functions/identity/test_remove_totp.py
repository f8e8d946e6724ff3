import pytest

from portal import keys
from portal.identity.records import Security, find_credentials
from portal.journal import AuditEntry
from portal.scope import Caller
from portal.table import Delete, Put, query, stage, write
from portal.tree import Node
from tests.builders import (
    PASSWORD,
    an_authenticator,
    bearer,
    code_of,
    deliver_mail,
    sign_in,
    sign_in_with_code,
)
from tests.world import Answer, World

OFFICE = "office@north.example.com"


def turn_off(world: World, caller: Caller, **proof: str) -> Answer:
    return world.call("identity.remove_totp", caller, body=proof)


def told(node: Node) -> list[tuple[str, str]]:
    found = query(AuditEntry, keys.node(node), "AUDIT")
    return [(each.status, each.description) for each in found if "Turned off" in each.description]


@pytest.mark.parametrize("by", ["password", "code", "recovery_code"])
def test_a_proof_turns_it_off(world: World, distributor: Node, caller: Caller, by: str) -> None:
    secret, codes = an_authenticator(world, OFFICE)
    world.advance(seconds=30)
    proof = {"password": PASSWORD, "code": code_of(world, secret), "recovery_code": codes[3]}[by]
    assert turn_off(world, caller, **{by: proof}).status == 204
    assert told(distributor) == [("completed", "Turned off two-factor authentication")]
    credentials = find_credentials(caller.user_id)
    assert credentials is not None
    left = (
        credentials.totp_secret,
        credentials.totp_begun,
        credentials.totp_step,
        credentials.recovery_hashes,
    )
    assert left == (None, None, None, [])
    assert "Two-factor authentication was turned off" in [mail.subject for mail in deliver_mail(world)]
    assert sign_in(world, OFFICE)["access_token"]
    again = turn_off(world, caller, password=PASSWORD)
    assert (again.status, again.code) == (409, "two_factor_off")


def test_without_one_it_stays_on(world: World, distributor: Node, caller: Caller) -> None:
    secret, _ = an_authenticator(world, OFFICE)
    used = code_of(world, secret)
    for proof in ({"password": "wrong"}, {"code": used}, {"recovery_code": "aaaa-bbbb-cccc-dddd"}):
        answer = turn_off(world, caller, **proof)
        assert (answer.status, answer.code) == (400, "not_proved")
    assert told(distributor) == [("failed", "Turned off two-factor authentication")] * 3
    for proof in ({}, {"password": PASSWORD, "code": used}, {"password": ""}, {"code": "12"}):
        assert turn_off(world, caller, **proof).code == "invalid"
    statuses = [turn_off(world, caller, password="wrong").status for _ in range(8)]
    assert statuses == [400] * 7 + [429]
    assert turn_off(world, caller, password=PASSWORD).status == 429
    world.advance(minutes=15)
    assert sign_in_with_code(world, OFFICE, secret)["access_token"]


def test_it_stays_on_while_the_portal_requires_it(world: World, distributor: Node, caller: Caller) -> None:
    secret, _ = an_authenticator(world, OFFICE)
    required = Security(keys.node(distributor), keys.SECURITY, two_factor_required=True)
    write([stage(Put(required))])
    inside = bearer(world, sign_in_with_code(world, OFFICE, secret)["access_token"])
    answer = turn_off(world, inside, password=PASSWORD)
    assert (answer.status, answer.code) == (409, "two_factor_required")
    write([Delete(required)])
    assert turn_off(world, inside, password=PASSWORD).status == 204
