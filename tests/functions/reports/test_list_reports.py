from dataclasses import replace

from tests.trees import plant
from tests.world import World


def test_reports_come_latest_first_in_pages(world: World) -> None:
    caller = (tree := plant(world.now)).users[tree.distributor]
    ids = []
    for _ in range(3):
        ids.append(world.call("reports.request_usage_report", caller, body={}).json["report_id"])
        world.advance(minutes=1)
    first = world.call("reports.list_reports", caller, query={"limit": "2"}).json
    assert ([each["report_id"] for each in first["items"]], first["total"]) == ([ids[2], ids[1]], 3)
    rest = world.call(
        "reports.list_reports", caller, query={"limit": "2", "cursor": first["next_cursor"]}
    ).json
    assert ([each["report_id"] for each in rest["items"]], rest["next_cursor"]) == ([ids[0]], None)


def test_everybody_sees_their_own_in_the_portal_they_are_in(world: World) -> None:
    tree = plant(world.now)
    caller = tree.users[tree.distributor]
    world.call("reports.request_usage_report", caller, body={})
    entered = replace(caller, portal=tree.partner)
    for other in (replace(caller, user_id="usr_other"), tree.users[tree.partner], entered):
        assert world.call("reports.list_reports", other).json["items"] == []


def test_a_cursor_of_another_user_is_refused(world: World) -> None:
    caller = (tree := plant(world.now)).users[tree.distributor]
    for _ in range(2):
        world.call("reports.request_usage_report", caller, body={})
    cursor = world.call("reports.list_reports", caller, query={"limit": "1"}).json["next_cursor"]
    other = replace(caller, user_id="usr_other")
    answer = world.call("reports.list_reports", other, query={"limit": "1", "cursor": cursor})
    assert (answer.status, answer.code) == (400, "invalid_cursor")


def test_a_report_nobody_worked_on_for_a_day_is_shown_as_failed(world: World) -> None:
    caller = (tree := plant(world.now)).users[tree.distributor]
    world.call("reports.request_usage_report", caller, body={})
    world.advance(hours=24)
    assert world.call("reports.list_reports", caller).json["items"][0]["state"] == "waiting"
    world.advance(seconds=1)
    (shown,) = world.call("reports.list_reports", caller).json["items"]
    assert (shown["state"], shown["failure"][:31]) == ("failed", "The report could not be written")
