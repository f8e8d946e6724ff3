from dataclasses import replace

import pytest

from portal.permissions import Permission
from portal.tree import Node
from tests.trees import Tree, a_user, plant, store
from tests.world import World, administrator

OPERATION = "reports.request_usage_report"


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(world.now)


def test_it_answers_at_once_with_a_waiting_report_that_is_then_listed(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    answer = world.call(OPERATION, caller, body={})
    assert answer.status == 202
    assert answer.json | {"report_id": ""} == {
        "report_id": "",
        "state": "waiting",
        "delivery": "attachment",
        "requested_at": "2023-01-10T12:00:00Z",
        "finished_at": None,
        "rows": 0,
        "size_bytes": None,
        "failure": None,
    }
    assert world.call("reports.list_reports", caller).json["items"] == [answer.json]


def test_the_writer_is_sent_for_once(world: World, tree: Tree) -> None:
    report_id = world.call(OPERATION, tree.users[tree.partner], body={"delivery": "link"}).json["report_id"]
    world.stream("notifications.deliver_outbox")
    assert world.messages("Reports") == [
        {"path": "dst_north/prt_north", "report_id": report_id, "turn": 0},
    ]


@pytest.mark.parametrize("account_id", ["acc_south", "acc_never", "acc_north_direct"])
def test_accounts_outside_the_callers_tree_do_not_exist(world: World, tree: Tree, account_id: str) -> None:
    plant(world.now, "south")
    answer = world.call(OPERATION, tree.users[tree.partner], body={"account_ids": [account_id]})
    assert (answer.status, answer.code) == (404, "not_found")
    assert world.call("reports.list_reports", tree.users[tree.partner]).json["total"] == 0


def test_an_account_that_is_not_on_the_callers_list_does_not_exist(world: World, tree: Tree) -> None:
    limited = replace(administrator(tree.distributor, "usr_limited"), limited=True)
    store(a_user(limited, world.now, accessible=[tree.partner.partner]))
    for account, status in ((tree.account, 202), (tree.direct, 404)):
        assert world.call(OPERATION, limited, body={"account_ids": [account.account]}).status == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"account_ids": []}, "account_ids"),
        ({"account_ids": ["a"] * 101}, "account_ids"),
        ({"account_ids": ["acc_north"], "filters": {"search": "north"}}, "filters"),
        ({"filters": {"account_status": ["asleep"]}}, "filters.account_status.0"),
        ({"filters": {"unknown": 1}}, "filters.unknown"),
        ({"delivery": "fax"}, "delivery"),
        ({"surprise": True}, "surprise"),
    ],
)
def test_what_is_malformed_is_refused_by_name(
    world: World, tree: Tree, body: dict[str, object], field: str
) -> None:
    answer = world.call(OPERATION, tree.users[tree.distributor], body=body)
    assert (answer.status, answer.code) == (400, "invalid")
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_partners_cannot_choose_by_billing_status(world: World, tree: Tree) -> None:
    answer = world.call(OPERATION, tree.users[tree.partner], body={"filters": {"billing_status": ["due"]}})
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "billing_status")


def test_five_unfinished_reports_are_enough_for_one_user(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    for _ in range(5):
        assert world.call(OPERATION, caller, body={}).status == 202
    refused = world.call(OPERATION, caller, body={})
    assert (refused.status, refused.code, refused.headers["Retry-After"]) == (429, "too_many_reports", "60")
    assert world.call(OPERATION, replace(caller, user_id="usr_other"), body={}).status == 202


def test_repeated_with_the_same_idempotency_key_it_asks_once(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    first, second = (
        world.call(OPERATION, caller, body={}, headers={"idempotency-key": "k"}) for _ in range(2)
    )
    assert second.json == first.json
    assert world.call("reports.list_reports", caller).json["total"] == 1


def test_without_the_permission_it_is_refused(world: World, tree: Tree) -> None:
    caller = replace(tree.users[tree.distributor], permissions=frozenset({Permission.DASHBOARD_VIEW}))
    assert world.call(OPERATION, caller, body={}).status == 403


def test_the_vendor_has_no_usage_reports(world: World) -> None:
    operator = replace(administrator(Node()), permissions=frozenset(Permission))
    assert world.call(OPERATION, operator, body={}).status == 403
