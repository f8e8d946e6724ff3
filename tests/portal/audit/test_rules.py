from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from portal.activities import Activity
from portal.audit import rules
from portal.audit.filters import AuditFilters
from portal.scope import Scope
from portal.tree import VENDOR, Node

TOP = Node("dst_1")
PARTNER = TOP.child("prt_2")
ACCOUNT = PARTNER.child("acc_3")
NOW = datetime(2023, 1, 10, 12, tzinfo=UTC)


def filters(**given: Any) -> AuditFilters:
    return AuditFilters.model_validate(given)


def an_entry(node: Node = TOP, **values: Any) -> Any:
    usual = {
        "node": node,
        "activity": "settings changed",
        "status": "completed",
        "account": None,
        "about": None,
        "performed_by": "ann@example.com",
    }
    return SimpleNamespace(**(usual | values))


@pytest.mark.parametrize(
    ("given", "index", "pks"),
    [
        ({}, "by_distributor", ("D#dst_1|AUDIT|",)),
        ({"status": "completed"}, "by_distributor", ("D#dst_1|AUDIT|",)),
        ({"user": " Ann@Example.com "}, "audit_by_user", ("D#dst_1|AUDIT_USER#ann@example.com|",)),
        ({"account": "Shop@Example.com"}, "audit_by_account", ("D#dst_1|AUDIT_ACCOUNT#shop@example.com|",)),
        (
            {"account": "shop@example.com", "user": "ann@example.com", "activity": "sign-in"},
            "audit_by_account",
            ("D#dst_1|AUDIT_ACCOUNT#shop@example.com|",),
        ),
        (
            {"user": "ann@example.com", "activity": "sign-in", "status": "failed"},
            "audit_by_user",
            ("D#dst_1|AUDIT_USER#ann@example.com|",),
        ),
        (
            {"activity": ["tasks changed", "sign-in", "sign-in"], "status": "failed"},
            "audit_by_activity",
            ("D#dst_1|AUDIT_ACTIVITY#sign-in#failed|", "D#dst_1|AUDIT_ACTIVITY#tasks changed#failed|"),
        ),
        (
            {"activity": "sign-in"},
            "audit_by_activity",
            ("D#dst_1|AUDIT_ACTIVITY#sign-in#completed|", "D#dst_1|AUDIT_ACTIVITY#sign-in#failed|"),
        ),
    ],
)
def test_the_most_selective_filter_chooses_where_to_look(
    given: dict[str, Any], index: str, pks: tuple[str, ...]
) -> None:
    route = rules.route(TOP, filters(**given))
    assert (route.index, route.pks) == (index, pks)


def test_failures_are_looked_for_in_every_activity() -> None:
    route = rules.route(TOP, filters(status="failed"))
    assert len(route.pks) == len(set(route.pks)) == len(Activity)
    assert all(pk.endswith("#failed|") for pk in route.pks)


@pytest.mark.parametrize("given", [{}, {"user": "a@b.c"}, {"account": "a@b.c"}, {"activity": "sign-in"}])
def test_nobody_looks_outside_their_own_subtree(given: dict[str, Any]) -> None:
    for top, prefix in {VENDOR: "V|", TOP: "D#dst_1|", PARTNER: "D#dst_1|P#prt_2|"}.items():
        route = rules.route(top, filters(**given))
        assert all(pk.startswith(prefix) for pk in route.pks)
    for top in (PARTNER, ACCOUNT):
        assert rules.route(top, filters(**given)).index == ""


@pytest.mark.parametrize(
    ("top", "given", "only"),
    [
        (TOP, {}, True),
        (PARTNER, {}, True),
        (PARTNER, {"user": "a@b.c"}, False),
        (TOP, {"user": "a@b.c"}, True),
        (TOP, {"user": "a@b.c", "status": "failed"}, False),
        (TOP, {"activity": "sign-in", "status": "failed"}, True),
        (TOP, {"status": "failed"}, True),
        (TOP, {"status": "completed"}, False),
        (VENDOR, {"status": "completed"}, False),
    ],
)
def test_it_is_known_whether_anything_is_read_in_vain(top: Node, given: dict[str, Any], only: bool) -> None:
    assert rules.finds_only_wanted(Scope(top), filters(**given)) is only
    assert not rules.finds_only_wanted(Scope(top, frozenset()), filters(**given))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"user": "ANN@example.com"}, True),
        ({"user": "bob@example.com"}, False),
        ({"account": "shop@example.com"}, False),
        ({"status": "completed", "activity": ["sign-in", "settings changed"]}, True),
        ({"status": "failed"}, False),
        ({"activity": "sign-in"}, False),
    ],
)
def test_an_entry_passes_all_filters_or_none(given: dict[str, Any], wanted: bool) -> None:
    assert rules.is_wanted(an_entry(), filters(**given)) is wanted


@pytest.mark.parametrize(
    ("entry", "seen"),
    [
        (an_entry(), True),
        (an_entry(account="d@example.com", about="dst_1"), True),
        (an_entry(PARTNER), True),
        (an_entry(account="p@example.com", about="dst_1/prt_2"), True),
        (an_entry(PARTNER, account="a@example.com", about="dst_1/prt_2/acc_3"), True),
        (an_entry(TOP.child("prt_9")), False),
        (an_entry(account="p@example.com", about="dst_1/prt_9"), False),
        (an_entry(account="a@example.com", about="dst_1/direct/acc_9"), False),
        (an_entry(account="a@example.com"), False),
    ],
)
def test_a_list_of_accounts_hides_what_is_not_on_it(entry: Any, seen: bool) -> None:
    assert rules.may_see(Scope(TOP, frozenset({"prt_2"})), entry) is seen
    assert rules.may_see(Scope(TOP), entry)


def test_money_is_for_distributors_and_operators() -> None:
    entry = an_entry(activity="billing details updated")
    seen = {top: rules.may_see(Scope(top), entry) for top in (VENDOR, TOP, PARTNER, ACCOUNT)}
    assert seen == {VENDOR: True, TOP: True, PARTNER: False, ACCOUNT: False}


def test_five_exports_may_be_waited_for() -> None:
    waiting: list[Any] = [SimpleNamespace(state="waiting", touched_at=NOW) for _ in range(4)]
    rules.admit(waiting, NOW)
    with pytest.raises(rules.TooManyExports):
        rules.admit([*waiting, SimpleNamespace(state="running", touched_at=NOW)], NOW)  # type: ignore[list-item]
