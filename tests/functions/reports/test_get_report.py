from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.access import AccessList
from portal.scope import Caller
from tests.trees import Tree, a_task, a_user, an_entity, plant, store
from tests.world import World, administrator


@pytest.fixture
def tree(world: World) -> Tree:
    tree = plant(world.now)
    store(
        a_task(tree.direct, "tsk_direct", world.now),
        *(an_entity(tree.direct, "tsk_direct", f"ent_{number}", world.now) for number in range(2)),
        an_entity(tree.account, tree.task_id, "ent_3", world.now),
    )
    return tree


def ready(world: World, caller: Caller) -> str:
    report_id = world.call("reports.request_usage_report", caller, body={}).json["report_id"]
    world.stream("notifications.deliver_outbox")
    assert world.work("reports.on_report_wanted", "Reports") == 1
    return str(report_id)


def test_a_ready_report_has_a_link_that_downloads_it_for_five_minutes(world: World, tree: Tree) -> None:
    report_id = ready(world, tree.users[tree.distributor])
    shown = world.call("reports.get_report", tree.users[tree.distributor], path={"report_id": report_id}).json
    assert (shown["state"], shown["rows"]) == ("ready", 3)
    address = urlsplit(shown["download_url"])
    given = parse_qs(address.query)
    assert address.path == f"/portal-files/reports/dst_north/{report_id}/usage-report.zip"
    assert given["X-Amz-Expires"] == ["300"]
    assert given["response-content-disposition"] == ['attachment; filename="usage-report-2023-01-10.zip"']


def test_a_waiting_report_has_no_link(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    report_id = world.call("reports.request_usage_report", caller, body={}).json["report_id"]
    shown = world.call("reports.get_report", caller, path={"report_id": report_id}).json
    assert shown["state"] == "waiting"
    assert "download_url" not in shown


def test_nobody_else_gets_it(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    report_id = ready(world, caller)
    south = plant(world.now, "south")
    others = (
        replace(caller, user_id="usr_other"),
        replace(caller, portal=tree.partner),
        tree.users[tree.partner],
        south.users[south.distributor],
    )
    for other in others:
        answer = world.call("reports.get_report", other, path={"report_id": report_id})
        assert (answer.status, answer.code) == (404, "not_found")


def test_there_is_no_link_to_what_the_requester_may_not_see_any_more(world: World, tree: Tree) -> None:
    limited = replace(administrator(tree.distributor, "usr_limited", "limited@example.com"), limited=True)
    store(a_user(limited, world.now, accessible=[tree.partner.partner, tree.direct.account]))
    report_id = ready(world, limited)

    def shown() -> dict[str, object]:
        answer = world.call("reports.get_report", limited, path={"report_id": report_id})
        return dict(answer.json)

    assert (shown()["rows"], "download_url" in shown()) == (3, True)
    for part in AccessList.query(f"D#{tree.distributor}|", AccessList.sk.startswith("ACCESS#usr_limited")):
        part.accessible_ids = [tree.partner.partner]
        part.save()
    assert (shown()["state"], "download_url" in shown()) == ("ready", False)


def test_after_thirty_days_it_is_gone(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    report_id = ready(world, caller)
    world.advance(days=30, seconds=-1)
    assert world.call("reports.get_report", caller, path={"report_id": report_id}).status == 200
    world.advance(seconds=1)
    assert world.call("reports.get_report", caller, path={"report_id": report_id}).status == 404
    assert world.call("reports.list_reports", caller).json["items"] == []
