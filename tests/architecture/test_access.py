"""Who may do what, to what: every operation x every kind of caller, generated from the declarations.

The operations' own tests know the finer points; this table knows all operations.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from local.document import Operation
from local.document import operations as declared_operations
from portal.operation import ANYBODY
from portal.permissions import HELD_ON, Permission
from portal.scope import Caller
from portal.tree import VENDOR, Node, Tier
from tests.trees import Tree, plant, signed_in
from tests.world import ENGINE, Answer, World, administrator

OPERATIONS = declared_operations()
CLOSED = [each for each in OPERATIONS if not each.declaration.open_because]
OF_USERS = [each for each in CLOSED if each.declaration.permission is not Permission.ENGINE_REPORT]
WITH_PERMISSION = [each for each in OF_USERS if each.declaration.permission]
ABOUT_SOMETHING = [each for each in OF_USERS if "{" in each.path]

PORTALS = {
    Tier.VENDOR: VENDOR,
    Tier.DISTRIBUTOR: Node("dst_north"),
    Tier.PARTNER: Node("dst_north", "prt_north"),
    Tier.ACCOUNT: Node("dst_north", "prt_north", "acc_north"),
}
STRANGE = ("D#dst_north|", "..", "x" * 65, "%2e", " ")

BODIES: dict[str, dict[str, Any]] = {
    "change_account": {"name": "Renamed"},
    "remove_account": {"approve_data_removal": True},
    "change_partner": {"name": "Renamed"},
    "create_task": {"service": "box", "name": "Files", "protect": {"scope": "all"}},
    "change_task": {"name": "Renamed"},
    "activate_tasks": {"task_ids": ["tsk_north"]},
    "pause_tasks": {"task_ids": ["tsk_north"]},
    "record_payment": {"amount": "2.34", "currency": "USD", "received_on": "2023-01-10"},
    "change_distributor": {"name": "Renamed"},
    "set_billing_method": {"method": "invoice"},
    "set_prices": {
        "currency": "USD",
        "effective_on": "2023-02-01",
        "services": {"box": {"monthly": "3.00", "annual": "30.00"}},
    },
}
"""A valid body for each operation on something that has an id in its path."""


def whole(caller: Caller) -> Caller:
    """The same with every permission there is, whether its tier can hold it or not."""
    return replace(caller, permissions=frozenset(Permission))


def portal_of(tree: Tree, tier: Tier) -> Node:
    return {
        Tier.VENDOR: VENDOR,
        Tier.DISTRIBUTOR: tree.distributor,
        Tier.PARTNER: tree.partner,
        Tier.ACCOUNT: tree.account,
    }[tier]


def ids_in(tree: Tree, portal: Node = VENDOR) -> dict[str, str]:
    """A thing of the tree (for reports, of one of its portals) for every name of a path parameter."""
    return {
        "distributor_id": tree.distributor.distributor,
        "partner_id": tree.partner.partner,
        "account_id": tree.account.account,
        "task_id": tree.task_id,
        "reference": tree.reference,
        "report_id": tree.reports.get(portal, ""),
        "parked_id": tree.parked_id,
    }


def called(
    world: World, operation: Operation, caller: Caller | None, ids: dict[str, str] | None = None
) -> Answer:
    """The answer to a well-formed request; without ids it is about things that nobody gets to look at."""
    path = {name: ids[name] if ids else "any" for name in operation.parameters}
    body = BODIES.get(operation.name, {}) if operation.declaration.body else None
    return world.call(f"{operation.domain}.{operation.name}", caller, body=body, path=path or None)


def cells(operations: list[Operation]) -> Iterator[Any]:
    """Operations by the tiers that they let in."""
    for operation in operations:
        for tier in operation.declaration.portals:
            yield pytest.param(operation, tier, id=f"{operation.name}-{tier}")


@pytest.mark.parametrize("operation", CLOSED, ids=lambda each: each.name)
def test_nobody_gets_in_without_a_token(world: World, operation: Operation) -> None:
    answer = called(world, operation, None)
    assert (answer.status, answer.code) == (401, "not_signed_in")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("operation", CLOSED, ids=lambda each: each.name)
@pytest.mark.parametrize("refused", ["token_unknown", "token_expired", "session_ended", "user_disabled"])
def test_a_token_that_does_not_count_is_none(world: World, operation: Operation, refused: str) -> None:
    caller = Caller(kind="anonymous", refused=refused)
    assert called(world, operation, caller).status == 401


@pytest.mark.parametrize("operation", CLOSED, ids=lambda each: each.name)
def test_whoever_comes_from_a_forbidden_address_is_denied(world: World, operation: Operation) -> None:
    answer = called(world, operation, Caller(kind="anonymous", refused="access_denied"))
    assert (answer.status, answer.code) == (403, "access_denied")


@pytest.mark.parametrize(("operation", "tier"), list(cells(WITH_PERMISSION)))
def test_without_the_permission_nobody_may(world: World, operation: Operation, tier: Tier) -> None:
    everything_else = HELD_ON[tier] - {operation.declaration.permission}
    caller = replace(administrator(PORTALS[tier]), permissions=everything_else)
    answer = called(world, operation, caller)
    assert (answer.status, answer.code) == (403, "not_permitted")


@pytest.mark.parametrize("operation", OF_USERS, ids=lambda each: each.name)
def test_other_tiers_may_not_whatever_they_hold(world: World, operation: Operation) -> None:
    for tier in set(ANYBODY) - set(operation.declaration.portals):
        answer = called(world, operation, whole(administrator(PORTALS[tier])))
        assert (answer.status, answer.code) == (403, "not_permitted"), tier


@pytest.mark.parametrize("operation", OF_USERS, ids=lambda each: each.name)
def test_the_engine_does_nothing_in_a_users_place(world: World, operation: Operation) -> None:
    assert called(world, operation, whole(ENGINE)).status == 403


@pytest.mark.parametrize("tier", ANYBODY)
def test_nobody_reports_in_the_engines_place(world: World, tier: Tier) -> None:
    caller = administrator(PORTALS[tier])
    assert world.call("engine.report_events", caller, body={"events": []}).status == 403


@pytest.mark.parametrize(("operation", "tier"), list(cells(ABOUT_SOMETHING)))
def test_what_belongs_to_another_tenant_does_not_exist(
    world: World, operation: Operation, tier: Tier
) -> None:
    own, foreign = plant(world.now, waiting=True), plant(world.now, "south", waiting=True)
    portal = portal_of(own, tier)
    foreign_ids = ids_in(foreign, portal_of(foreign, tier))
    for name in operation.parameters:
        others = [f"{foreign_ids[name][:4]}never", *STRANGE]
        if tier is not Tier.VENDOR:
            others.append(foreign_ids[name])
        for other in others:
            answer = called(world, operation, administrator(portal), {**ids_in(own, portal), name: other})
            assert (answer.status, answer.code) == (404, "not_found"), f"{name}={other!r}: {answer.text}"


@pytest.mark.parametrize(
    ("operation", "tier"),
    [
        pytest.param(operation, tier, id=f"{operation.name}-{tier}")
        for operation in ABOUT_SOMETHING
        for tier in operation.declaration.portals
        if tier in (Tier.DISTRIBUTOR, Tier.PARTNER)
        and {"partner_id", "account_id"} & set(operation.parameters)
    ],
)
def test_what_is_not_among_the_accessible_accounts_does_not_exist(
    world: World, operation: Operation, tier: Tier
) -> None:
    tree = plant(world.now, waiting=True)
    caller = replace(administrator(portal_of(tree, tier), "usr_limited"), limited=True)
    answer = called(world, operation, caller, ids_in(tree))
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(("operation", "tier"), list(cells(ABOUT_SOMETHING)))
def test_what_is_ones_own_does_exist(world: World, operation: Operation, tier: Tier) -> None:
    """The table's other half: the 404s above mean something."""
    tree = plant(world.now, waiting=True)
    portal = portal_of(tree, tier)
    caller = signed_in(administrator(portal), world.now)
    answer = called(world, operation, caller, ids_in(tree, portal))
    assert answer.status < 400 or answer.status == 409, answer.text
