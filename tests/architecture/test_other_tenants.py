"""What lies outside of a token's subtree does not exist: every id of every path, and ids within bodies, swapped.

Answers to what is somebody else's, was removed or never was are the same to the last byte, so that nobody learns which.
"""

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from local.document import Operation
from local.document import operations as declared_operations
from portal import keys, paging
from portal.distributors.records import Distributor
from portal.operation import ANYBODY, DISTRIBUTORS, Call, operation
from portal.paging import PageQuery
from portal.permissions import Permission
from portal.table import find
from portal.tree import Tier
from tests.examples import EXAMPLES, Scene, ask, usual_ids
from tests.principals import (
    ADMINISTRATOR,
    SPARE_KEY,
    Neighbourhood,
    Principal,
    administrators,
    bystander,
    everybody,
    neighbourhood,
)
from tests.support import Harness, OutsideSubtree
from tests.world import World, administrator

OPERATIONS = declared_operations()
OF_USERS = [
    each
    for each in OPERATIONS
    if each.declaration.portals and each.declaration.permission is not Permission.ENGINE_REPORT
]
ABOUT_SOMETHING = [each for each in OF_USERS if each.parameters]
LISTS = [each for each in OF_USERS if issubclass(each.declaration.query or BaseModel, PageQuery)]

STRANGE = ("D#dst_north|", "..", "x" * 65, "%2e", " ", "acc_north\n", "*", "ACC_NORTH", "\u0430cc_north")
"""Malformed ids; the last one begins with a Cyrillic letter."""


def foreign(home: Neighbourhood, tier: Tier, name: str) -> list[str]:
    """Ids that somebody in the portal of this tier must not find: of siblings, of above and below, of the gone."""
    tree, south = home.tree, home.south
    beside = home.siblings[Tier.ACCOUNT].account
    south_card = home.cards[south.distributor]
    of_others: dict[str, list[str]] = {
        "distributor_id": [tree.partner.partner, tree.account.account],
        "partner_id": [
            south.partner.partner,
            tree.distributor.distributor,
            tree.account.account,
            "prt_never",
        ],
        "account_id": [home.gone.account, tree.task_id],
        "task_id": [f"tsk_{beside}", "tsk_acc_east", south.task_id, tree.account.account],
        "reference": [tree.partner.partner, "10000"],
        "parked_id": [tree.reference],
        "report_id": [*south.reports.values(), *tree.reports.values()],
        "export_id": ["aex_never", *south.reports.values()],
        "payment_id": [tree.reference, south.reference],
        "user_id": [bystander(each) for each in ANYBODY if each is not tier],
        "client_id": [SPARE_KEY[each] for each in ANYBODY if each is not tier],
        "session_id": [each.session_id for each in home.people if each.tier is not tier],
        "entry_id": [tree.account.account],
        "card_id": [south_card, tree.account.account],
    }
    found = [*of_others.get(name, []), f"{name[:3]}_never", *STRANGE]
    if tier is not Tier.VENDOR:
        found += {
            "account_id": [south.account.account, south.direct.account],
            "reference": [south.reference],
        }.get(name, [])
    if tier in (Tier.PARTNER, Tier.ACCOUNT) and name == "account_id":
        found += ["acc_east", tree.direct.account]
    if tier is Tier.ACCOUNT and name == "account_id":
        found.append(beside)
    return found


@pytest.mark.parametrize("operation", ABOUT_SOMETHING, ids=lambda each: each.name)
def test_what_is_not_ones_own_cannot_be_told_from_what_never_was(
    world: World, harness: Harness, operation: Operation
) -> None:
    home = neighbourhood(world, harness)
    administrators(home)
    start = harness.items()
    answers: dict[tuple[int, str], list[str]] = {}
    for tier in operation.declaration.portals:
        scene = Scene(home, home.administrator(tier))
        known = usual_ids(scene)
        for name in operation.parameters:
            for other in foreign(home, tier, name):
                answer = world.request(
                    f"{operation.domain}.{operation.name}",
                    scene.who.token,
                    path={each: known[each] for each in operation.parameters} | {name: other},
                    body=_body(scene, operation),
                )
                case = f"{tier} {name}={other!r}"
                answers.setdefault((answer.status, answer.text), []).append(case)
    [(status, _)] = answers or [(0, "")]
    assert status == 404, answers
    assert harness.items() == start


def _body(scene: Scene, operation: Operation) -> Any:
    """The example's body, as far as nothing has to be prepared for it."""
    if operation.declaration.body is None:
        return None
    body = EXAMPLES[operation.name].body
    return dict(body(scene) if callable(body) else body)


# Ids within bodies


def _accounts(home: Neighbourhood, tier: Tier) -> list[str]:
    return [each for each in foreign(home, tier, "account_id") if each not in STRANGE]


@pytest.mark.parametrize("tier", [Tier.DISTRIBUTOR, Tier.PARTNER])
def test_bodies_tell_no_more_of_a_foreign_account_than_of_none(
    world: World, harness: Harness, tier: Tier
) -> None:
    home = neighbourhood(world, harness)
    administrators(home)
    who = home.administrator(tier)
    requests: dict[str, Any] = {
        "subscriptions.subscribe_accounts": lambda it: {"plan": "monthly", "accounts": [it]},
        "reports.request_usage_report": lambda it: {"account_ids": [it]},
        "identity.create_user": lambda it: {
            "email": "new@people.example.com",
            "name": "New",
            "role": "custom",
            "permissions": ["dashboard.view"],
            "accessible_accounts": [it],
        },
    }
    start = harness.snapshot()
    for name, body in requests.items():
        answers = {}
        for other in [*_accounts(home, tier), "acc_never_was"]:
            answer = world.request(name, who.token, body=body(other))
            answers[answer.status, answer.text.replace(other, "it")] = other
            harness.restore(start)
        assert len(answers) == 1, (name, answers)
        [(status, text)] = answers
        assert status >= 400 or '"not_found"' in text, (name, text)


@pytest.mark.parametrize("name", ["tasks.activate_tasks", "tasks.pause_tasks"])
def test_bodies_tell_no_more_of_a_foreign_task_than_of_none(
    world: World, harness: Harness, name: str
) -> None:
    home = neighbourhood(world, harness)
    administrators(home)
    who, path = home.administrator(Tier.ACCOUNT), {"account_id": home.tree.account.account}
    answers = set()
    for other in [*foreign(home, Tier.ACCOUNT, "task_id")[:3], "tsk_never_was"]:
        answer = world.request(name, who.token, path=path, body={"task_ids": [other]})
        answers.add((answer.status, answer.text.replace(other, "it")))
    assert len(answers) == 1, answers


def test_every_list_of_ids_in_a_body_is_swapped_here() -> None:
    swapped = {
        ("subscribe_accounts", "accounts"),
        ("request_usage_report", "account_ids"),
        ("create_user", "accessible_accounts"),
        ("activate_tasks", "task_ids"),
        ("pause_tasks", "task_ids"),
    }
    elsewhere = {
        ("change_user", "accessible_accounts"): "checked by the same function as for a new user",
        ("create_partner", "partner_id"): "the distributor's own code, which it chooses",
        ("change_partner", "partner_code"): "likewise",
        ("request_audit_export", "account"): "an e-mail address that only filters",
        ("create_distributor", "tax_id"): "a tax office's",
        ("change_distributor", "tax_id"): "likewise",
        ("set_payment_details", "tax_id"): "likewise",
    }
    found = {
        (each.name, field)
        for each in OF_USERS
        if each.declaration.body
        for field in each.declaration.body.model_fields
        if field.endswith(("_id", "_ids", "accounts", "account", "partner_code"))
    }
    assert found == swapped | set(elsewhere), "swap it in a test above, or say why not"


# Cursors


@pytest.mark.parametrize("operation", LISTS, ids=lambda each: each.name)
def test_a_cursor_of_another_caller_or_list_is_refused(
    world: World, harness: Harness, operation: Operation
) -> None:
    home = neighbourhood(world, harness)
    everybody(home, operation.declaration.permission)
    tier = operation.declaration.portals[0]
    who = home.administrator(tier)
    scene = Scene(home, who)

    def asked(cursor: str, **query: str) -> tuple[int, str]:
        answer = ask(scene, operation, query={"cursor": cursor, **query})
        return answer.status, answer.text

    known = {**usual_ids(scene)}
    where = "/".join(known[name] for name in operation.parameters)
    assert operation.declaration.query is not None
    query = operation.declaration.query.model_validate({})
    last = ["2023-01-10T12:00:00.000Z", "a"]

    def sealed(user_id: str, portal: str, name: str = operation.name) -> str:
        seal_for = paging._seal_for(f"{user_id} {portal} {name} {where}", query)  # type: ignore[arg-type]
        return paging._seal(tuple(last), seal_for)

    others: list[Principal] = [each for each in home.people if each.user_id and each != who]
    cursors = [sealed(each.user_id, str(each.portal)) for each in others]
    cursors += [sealed(who.user_id, str(each.portal)) for each in others if each.portal != who.portal]
    own = sealed(who.user_id, str(who.portal))
    cursors += [
        sealed(who.user_id, str(who.portal), "another_list"),
        own[:-4],
        own[:8] + "AAAA" + own[12:],
        "=",
        "AAAA",
    ]
    [(status, text)] = {asked(cursor) for cursor in cursors}
    assert (status, '"code":"invalid_cursor"' in text) == (400, True), text


# S1: the watch over the subtree itself


def _planted(handler: Any) -> str:
    """A function that is not there in truth."""
    module = ModuleType("planted.get_something")
    module.__dict__.update(__doc__="GET /v1/something\n\nTakes what is not its caller's.", handler=handler)
    sys.modules["planted.get_something"] = module
    return "planted.get_something"


@pytest.fixture
def reading_elsewhere(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(world, "acting", lambda function: nullcontext())

    @operation(Permission.DASHBOARD_VIEW, portals=DISTRIBUTORS)
    def handler(call: Call) -> None:
        find(Distributor, "D#dst_south|", keys.NODE)

    yield _planted(handler)
    del sys.modules["planted.get_something"]


def test_an_operation_that_reads_elsewhere_is_caught_in_every_test(
    world: World, harness: Harness, reading_elsewhere: str
) -> None:
    home = neighbourhood(world, harness)
    administrators(home)
    who = home.administrator(Tier.DISTRIBUTOR)
    with harness.expecting(OutsideSubtree):
        world.request(reading_elsewhere, who.token)
    with harness.expecting(OutsideSubtree):
        world.call(reading_elsewhere, administrator(home.tree.distributor))
    assert ADMINISTRATOR[Tier.DISTRIBUTOR] == who.name
