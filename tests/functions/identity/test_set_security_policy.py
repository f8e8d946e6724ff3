from typing import Any

from portal import keys
from portal.identity.records import find_security
from portal.journal import AuditEntry
from portal.scope import Caller
from portal.table import query
from portal.tree import Node
from tests.builders import (
    a_partner,
    an_authenticator,
    bearer,
    code_of,
    sign_in,
    sign_in_with_code,
)
from tests.world import Answer, World

OFFICE = "office@north.example.com"


def ask_for(world: World, caller: Caller, days: Any, required: Any) -> Answer:
    body = {"password_expires_after_days": days, "two_factor_required": required}
    return world.call("identity.set_security_policy", caller, body=body)


def told(node: Node) -> list[str]:
    found = query(AuditEntry, keys.node(node), "AUDIT")
    return [each.description for each in found if "policy" in each.description]


class TestPasswordExpiry:
    def test_it_is_kept_audited_and_due_to_be_looked_at(
        self, world: World, distributor: Node, caller: Caller
    ) -> None:
        assert ask_for(world, caller, 90, False).json == {
            "password_expires_after_days": 90,
            "two_factor_required": False,
        }
        assert told(distributor) == ["Changed the security policy: passwords expire after 90 days"]
        security = find_security(distributor)
        assert security is not None
        assert security.due_key() == keys.by_due("password_expiry", world.now, distributor.distributor)
        world.advance(hours=1)
        assert ask_for(world, caller, 90, False).status == 200
        assert len(told(distributor)) == 1, "nothing has changed"
        assert ask_for(world, caller, 30, False).status == 200
        security = find_security(distributor)
        assert security is not None
        assert security.due_key() == keys.by_due("password_expiry", world.now, distributor.distributor)

    def test_it_can_be_turned_off_again(self, world: World, distributor: Node, caller: Caller) -> None:
        ask_for(world, caller, 1, False)
        world.advance(seconds=1)
        assert ask_for(world, caller, None, False).status == 200
        assert told(distributor)[-1] == "Changed the security policy: passwords never expire"
        security = find_security(distributor)
        assert security is not None
        assert (security.due_key(), security.due_pk) == (None, None)
        world.advance(days=2)
        assert sign_in(world, OFFICE)["access_token"]

    def test_what_it_cannot_be_is_refused(self, world: World, caller: Caller) -> None:
        for days, required in (
            (0, False),
            (731, False),
            (-1, False),
            (1.5, False),
            ("30", False),
            (30, "no"),
            (True, False),
        ):
            assert (ask_for(world, caller, days, required).code) == "invalid", (days, required)
        for body in ({}, {"two_factor_required": False}, {"password_expires_after_days": 1}):
            assert world.call("identity.set_security_policy", caller, body=body).code == "invalid"
        assert [ask_for(world, caller, days, False).status for days in (1, 730)] == [200, 200]


class TestRequiringTwoFactors:
    def test_whoever_has_no_second_factor_cannot(
        self, world: World, distributor: Node, caller: Caller
    ) -> None:
        answer = ask_for(world, caller, None, True)
        assert (answer.status, answer.code) == (409, "second_factor_missing")
        # Its own app is on, but this session has not shown its code.
        an_authenticator(world, OFFICE)
        assert ask_for(world, caller, None, True).code == "second_factor_missing"
        assert find_security(distributor) is None

    def test_whoever_has_one_can_and_works_on_while_others_are_asked(
        self, world: World, distributor: Node
    ) -> None:
        secret, _ = an_authenticator(world, OFFICE)
        token = sign_in_with_code(world, OFFICE, secret)["access_token"]
        assert ask_for(world, bearer(world, token), None, True).status == 200
        assert told(distributor) == ["Changed the security policy: two-factor authentication is required"]
        assert bearer(world, token).kind == "user"
        assert ask_for(world, bearer(world, token), 30, True).status == 200
        assert ask_for(world, bearer(world, token), 30, False).status == 200
        # The clock stands still, so they are in no order.
        switched_off = "Changed the security policy: two-factor authentication is not required any more"
        assert switched_off in told(distributor)

    def test_whoever_has_turned_its_own_off_again_cannot(self, world: World, caller: Caller) -> None:
        secret, _ = an_authenticator(world, OFFICE)
        token = sign_in_with_code(world, OFFICE, secret)["access_token"]
        world.advance(seconds=30)
        body = {"code": code_of(world, secret)}
        assert world.call("identity.remove_totp", bearer(world, token), body=body).status == 204
        assert ask_for(world, bearer(world, token), None, True).code == "second_factor_missing"

    def test_from_above_it_is_the_session_of_signing_in_that_counts(
        self, world: World, distributor: Node
    ) -> None:
        partner = a_partner(world, distributor)
        secret, _ = an_authenticator(world, OFFICE)
        with_code = sign_in_with_code(world, OFFICE, secret)["access_token"]
        path = {"partner_id": partner.partner}
        entered = world.call("identity.access_partner", bearer(world, with_code), path=path).json
        inside = bearer(world, entered["access_token"])
        assert ask_for(world, inside, 14, True).status == 200
        assert told(partner) == [
            "Changed the security policy: passwords expire after 14 days, two-factor authentication is required"
        ]
        assert find_security(distributor) is None
        assert bearer(world, entered["access_token"]).portal == partner
