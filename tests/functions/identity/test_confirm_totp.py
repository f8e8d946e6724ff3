from typing import Any

import pytest

from portal import keys
from portal.change import Change
from portal.identity.records import Security, find_credentials
from portal.journal import AuditEntry
from portal.scope import Caller
from portal.table import Put, query, stage, write
from portal.tree import Node
from tests.builders import (
    PASSWORD,
    bearer,
    code_of,
    deliver_mail,
    sign_in,
    sign_in_with_code,
)
from tests.world import Answer, World

OFFICE = "office@north.example.com"


def begin(world: World, caller: Caller) -> str:
    secret: str = world.call("identity.begin_totp", caller).json["secret"]
    return secret


def turn_on(world: World, caller: Caller, shown: str, /, **proof: str) -> Answer:
    body: dict[str, Any] = {"code": shown} | ({"proof": proof} if proof else {})
    return world.call("identity.confirm_totp", caller, body=body)


def told(node: Node) -> list[tuple[str, str, str]]:
    found = query(AuditEntry, keys.node(node), "AUDIT")
    return [
        (entry.status, entry.description, entry.performed_by)
        for entry in found
        if entry.activity == "security settings changed"
    ]


def test_the_first_code_turns_it_on_and_recovery_codes_are_shown_once(
    world: World, distributor: Node, caller: Caller
) -> None:
    secret = begin(world, caller)
    answer = turn_on(world, caller, code_of(world, secret, steps=1))
    assert answer.status == 200
    codes = answer.json["recovery_codes"]
    assert len(set(codes)) == 10
    assert all(len(code) == 19 for code in codes), "four groups of four"
    assert told(distributor) == [("completed", "Turned on two-factor authentication", OFFICE)]
    credentials = find_credentials(caller.user_id)
    assert credentials is not None and credentials.totp_begun is None
    stored = str(credentials.to_dynamodb_dict())
    assert not [each for each in (secret, *codes) if each in stored]
    challenge = world.call("identity.sign_in", body={"email": OFFICE, "password": PASSWORD}).json
    assert challenge["challenge"] == "totp"


def test_the_session_that_showed_the_code_goes_on_where_two_factors_are_required(
    world: World, distributor: Node, caller: Caller
) -> None:
    mine, other = (sign_in(world, OFFICE)["access_token"] for _ in range(2))
    secret = begin(world, bearer(world, mine))
    assert turn_on(world, bearer(world, mine), code_of(world, secret)).status == 200
    write([stage(Put(Security(keys.node(distributor), keys.SECURITY, **Change(two_factor_required=True))))])
    assert bearer(world, mine).kind == "user"
    assert bearer(world, other).refused == "second_factor_required"


def test_a_wrong_code_turns_nothing_on(world: World, distributor: Node, caller: Caller) -> None:
    nothing = turn_on(world, caller, "123456")
    assert (nothing.status, nothing.code) == (409, "nothing_begun")
    secret = begin(world, caller)
    answer = turn_on(world, caller, code_of(world, secret, steps=2))
    assert (answer.status, answer.code) == (400, "wrong_code")
    assert told(distributor) == [("failed", "Turned on two-factor authentication", OFFICE)]
    assert sign_in(world, OFFICE)["access_token"]
    statuses = [turn_on(world, caller, code_of(world, secret, steps=9)).status for _ in range(10)]
    assert statuses == [400] * 9 + [429]


def test_what_was_confirmed_is_not_confirmed_again(world: World, caller: Caller) -> None:
    secret = begin(world, caller)
    assert turn_on(world, caller, code_of(world, secret)).status == 200
    again = turn_on(world, caller, code_of(world, secret))
    assert (again.status, again.code) == (409, "nothing_begun")


@pytest.mark.parametrize("by", ["password", "code", "recovery_code"])
def test_an_app_is_replaced_only_with_a_proof(
    world: World, distributor: Node, caller: Caller, by: str
) -> None:
    old = begin(world, caller)
    recovery = turn_on(world, caller, code_of(world, old)).json["recovery_codes"]
    world.advance(minutes=1)
    new = begin(world, caller)
    code = code_of(world, new)
    without = turn_on(world, caller, code)
    assert (without.status, without.json["errors"][0]["field"]) == (400, "proof")
    for wrong in ({"password": "x"}, {"code": code}, {"recovery_code": "x"}):
        answer = turn_on(world, caller, code, **wrong)
        assert (answer.status, answer.code) == (400, "not_proved")
    assert turn_on(world, caller, code, password=PASSWORD, recovery_code=recovery[0]).status == 400
    proof = {"password": PASSWORD, "code": code_of(world, old), "recovery_code": recovery[0]}[by]
    answer = turn_on(world, caller, code, **{by: proof})
    assert answer.status == 200, answer.text
    assert not set(answer.json["recovery_codes"]) & set(recovery)
    assert ("completed", "Replaced the authenticator app", OFFICE) in told(distributor)
    subjects = {mail.subject for mail in deliver_mail(world)}
    assert subjects >= {"Two-factor authentication was turned on", "Your authenticator app was replaced"}
    assert sign_in_with_code(world, OFFICE, new)["access_token"]
    challenge = world.call("identity.sign_in", body={"email": OFFICE, "password": PASSWORD}).json
    void = {"challenge_token": challenge["challenge_token"], "recovery_code": recovery[1]}
    assert world.call("identity.answer_challenge", body=void).code == "wrong_answer"
