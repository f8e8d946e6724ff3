from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient

from portal import keys
from portal.access import access_parts
from portal.identity.records import User
from portal.permissions import HELD_ON, Permission
from portal.scope import Caller
from portal.table import query
from portal.tree import VENDOR, Node, Tier
from tests.builders import a_distributor, a_partner, bearer, confirm, sign_in
from tests.world import World

ARN = "arn:aws:execute-api:eu-central-1:123456789012:api1/live/GET/v1/partners/prt_1"


@pytest.fixture
def token(world: World, distributor: Node) -> str:
    access_token: str = sign_in(world, "office@north.example.com")["access_token"]
    return access_token


def ask(world: World, headers: dict[str, str] | None) -> dict[str, Any]:
    event = {"type": "REQUEST", "methodArn": ARN, "headers": headers}
    answer: dict[str, Any] = world.handler("identity.authorize")(event, world.context)
    return answer


def who(world: World, authorization: str) -> Caller:
    return Caller.from_context(ask(world, {"authorization": authorization})["context"])


def change_user(home: Node, **values: Any) -> None:
    [user] = query(User, keys.node(home), keys.user())
    user.update(actions=[getattr(User, name).set(value) for name, value in values.items()])


def test_every_request_is_allowed_on_the_whole_stage_and_says_who_calls(world: World, token: str) -> None:
    answer = ask(world, {"Authorization": f"bearer  {token} "})
    [statement] = answer["policyDocument"]["Statement"]
    assert statement == {
        "Action": "execute-api:Invoke",
        "Effect": "Allow",
        "Resource": "arn:aws:execute-api:eu-central-1:123456789012:api1/live/*",
    }
    assert all(isinstance(value, str) for value in answer["context"].values())
    assert answer["principalId"] == answer["context"]["user_id"]
    assert Caller.from_context(answer["context"]).permissions == HELD_ON[Tier.DISTRIBUTOR]


@pytest.mark.parametrize("headers", [None, {}, {"Authorization": ""}, {"Authorization": "  "}])
def test_without_a_token_the_caller_is_anonymous(world: World, headers: dict[str, str] | None) -> None:
    answer = ask(world, headers)
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    assert answer["principalId"] == "anonymous"
    assert Caller.from_context(answer["context"]) == Caller(kind="anonymous")


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer dpa_unknown",
        "Bearer dpr_ses_1.secret",
        "Basic dXNlcjpwYXNzd29yZA==",
        "Bearer eng_",
        "Bearer eng_wrong",
        "Bearer value of engine-secret",
        "Bearer \ud800",
        "Bearer eng_\udfff",
        "Bearer " + "x" * 8000,
    ],
)
def test_what_is_no_token_is_refused(world: World, authorization: str) -> None:
    assert who(world, authorization) == Caller(kind="anonymous", refused="token_unknown")


def test_the_engine_has_a_credential_of_its_own(world: World) -> None:
    assert who(world, "Bearer eng_value of engine-secret") == Caller(
        kind="engine", permissions=frozenset({Permission.ENGINE_REPORT})
    )


def test_an_access_token_lasts_fifteen_minutes(world: World, token: str) -> None:
    world.advance(minutes=14, seconds=59)
    assert bearer(world, token).kind == "user"
    world.advance(seconds=1)
    assert bearer(world, token) == Caller(kind="anonymous", refused="token_expired")


def test_disabling_the_user_works_on_the_next_request(world: World, distributor: Node, token: str) -> None:
    change_user(distributor, state="disabled")
    assert bearer(world, token) == Caller(kind="anonymous", refused="user_disabled")


def test_changed_permissions_work_on_the_next_request(world: World, distributor: Node, token: str) -> None:
    change_user(
        distributor, role="custom", permissions=["dashboard.view", "operator.billing", "no.such.thing"]
    )
    assert bearer(world, token).permissions == {Permission.DASHBOARD_VIEW}


@contextmanager
def table_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def recording(self: Any, name: str, arguments: Any) -> Any:
        seen.append((name, arguments))
        return call(self, name, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", recording)
        yield seen


def test_all_that_a_token_depends_on_is_read_in_one_consistent_batch(
    world: World, distributor: Node, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = a_partner(world, distributor)
    caller = bearer(world, token)
    entered = world.call("identity.access_partner", caller, path={"partner_id": partner.partner}).json
    with table_calls(monkeypatch) as calls:
        assert bearer(world, entered["access_token"]).portal == partner
    assert [name for name, _ in calls] == ["GetItem", "BatchGetItem"]
    assert calls[0][1]["ConsistentRead"] is True
    [batch] = calls[1][1]["RequestItems"].values()
    assert batch["ConsistentRead"] is True
    # Its session and the one it was entered from, the user, its portal's security, the distributor, the partner.
    assert len(batch["Keys"]) == 6


class TestEntered:
    """Portals further down."""

    @pytest.fixture
    def partner(self, world: World, distributor: Node) -> Node:
        return a_partner(world, distributor)

    @pytest.fixture
    def entered(self, world: World, token: str, partner: Node) -> str:
        answer = world.call(
            "identity.access_partner", bearer(world, token), path={"partner_id": partner.partner}
        )
        access_token: str = answer.json["access_token"]
        return access_token

    def test_the_acting_user_stays_named(
        self, world: World, entered: str, distributor: Node, partner: Node
    ) -> None:
        caller = bearer(world, entered)
        assert (caller.home, caller.portal, caller.email) == (
            distributor,
            partner,
            "office@north.example.com",
        )
        assert caller.permissions == HELD_ON[Tier.PARTNER]
        assert not caller.sees_money

    def test_an_operator_gets_what_the_portals_administrators_have(self, world: World) -> None:
        event = {"email": "olga@vendor.example.com", "name": "Olga"}
        world.handler("operators.create_first_operator")(event, world.context)
        confirm(world, "olga@vendor.example.com")
        distributor = a_distributor(world, "other@south.example.com")
        operator = bearer(world, sign_in(world, "olga@vendor.example.com")["access_token"])
        assert operator.permissions == HELD_ON[Tier.VENDOR]
        path = {"distributor_id": distributor.distributor}
        tokens = world.call("identity.access_distributor", operator, path=path).json
        inside = bearer(world, tokens["access_token"])
        assert inside.permissions == HELD_ON[Tier.DISTRIBUTOR]
        assert (inside.home, inside.portal) == (VENDOR, distributor)
        partner = a_partner(world, distributor, "deep@example.com")
        deeper = world.call("identity.access_partner", inside, path={"partner_id": partner.partner}).json
        assert bearer(world, deeper["access_token"]).portal == partner
        world.call("identity.sign_out", operator)
        assert bearer(world, deeper["access_token"]).refused == "session_ended"

    def test_removing_the_portal_works_on_the_next_request(
        self, world: World, token: str, entered: str, partner: Node
    ) -> None:
        caller = bearer(world, token)
        assert (
            world.call("partners.remove_partner", caller, path={"partner_id": partner.partner}).status == 204
        )
        assert bearer(world, entered) == Caller(kind="anonymous", refused="portal_removed")

    def test_who_may_no_longer_enter_is_out_on_the_next_request(
        self, world: World, entered: str, distributor: Node
    ) -> None:
        change_user(distributor, role="custom", permissions=["settings.view"])
        assert bearer(world, entered) == Caller(kind="anonymous", refused="access_withdrawn")

    def test_a_partner_that_is_no_longer_accessible_is_out_of_reach_on_the_next_request(
        self, world: World, entered: str, distributor: Node, partner: Node
    ) -> None:
        [user] = query(User, keys.node(distributor), keys.user())
        change_user(distributor, limited=True)
        assert bearer(world, entered).refused == "access_withdrawn"
        [part] = access_parts(distributor, user.user_id, [partner.partner])
        part.save()
        assert bearer(world, entered).portal == partner
