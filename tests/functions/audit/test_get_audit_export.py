from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.access import AccessList
from portal.scope import Caller
from tests.histories import an_entry, plant_history
from tests.trees import Tree, a_user, plant, store
from tests.world import OPERATOR, Answer, World, administrator


@pytest.fixture
def tree(world: World) -> Tree:
    tree = plant(world.now)
    plant_history([an_entry(tree.distributor, world.now), an_entry(tree.partner, world.now)])
    world.advance(minutes=1)
    return tree


def ready(world: World, caller: Caller) -> str:
    export_id = world.call("audit.request_audit_export", caller, body={}).json["export_id"]
    world.stream("notifications.deliver_outbox")
    world.work("audit.on_audit_export_wanted", "AuditExports")
    return str(export_id)


def shown(world: World, caller: Caller, export_id: str) -> Answer:
    return world.call("audit.get_audit_export", caller, path={"export_id": export_id})


def test_a_ready_export_has_a_link_that_downloads_it_for_five_minutes(world: World, tree: Tree) -> None:
    export_id = ready(world, tree.users[tree.distributor])
    answer = shown(world, tree.users[tree.distributor], export_id).json
    assert (answer["state"], answer["rows"]) == ("ready", 2)
    address = urlsplit(answer["download_url"])
    given = parse_qs(address.query)
    assert address.path == f"/portal-files/reports/dst_north/{export_id}/audit.csv"
    assert given["X-Amz-Expires"] == ["300"]
    assert given["response-content-disposition"] == ['attachment; filename="audit-2023-01-10.csv"']


def test_whoever_sees_the_whole_trail_of_the_portal_gets_its_exports_and_nobody_else(
    world: World, tree: Tree
) -> None:
    caller = tree.users[tree.distributor]
    export_id = ready(world, caller)
    assert "download_url" in shown(world, replace(caller, user_id="usr_colleague"), export_id).json
    south = plant(world.now, "south")
    others = (
        replace(caller, user_id="usr_limited", limited=True),
        replace(caller, portal=tree.partner),
        tree.users[tree.partner],
        tree.users[tree.direct],
        south.users[south.distributor],
        OPERATOR,
    )
    for other in others:
        answer = shown(world, other, export_id)
        assert (answer.status, answer.code) == (404, "not_found")


def test_a_limited_user_gets_no_link_to_what_it_may_not_see_any_more(world: World, tree: Tree) -> None:
    limited = replace(administrator(tree.distributor, "usr_limited", "limited@example.com"), limited=True)
    listed = [tree.partner.partner, tree.direct.account]
    store(a_user(limited, world.now, accessible=listed))
    export_id = ready(world, limited)
    of_all = ready(world, replace(limited, user_id="usr_admin"))

    def list_becomes(accessible: list[str]) -> None:
        for part in AccessList.query(
            f"D#{tree.distributor}|", AccessList.sk.startswith("ACCESS#usr_limited")
        ):
            part.accessible_ids = accessible
            part.save()

    assert "download_url" in shown(world, limited, export_id).json
    list_becomes([*listed, "acc_later"])
    assert "download_url" in shown(world, limited, export_id).json
    list_becomes([tree.partner.partner])
    answer = shown(world, limited, export_id).json
    assert (answer["state"], "download_url" in answer) == ("ready", False)
    assert "download_url" in shown(world, replace(limited, limited=False), export_id).json
    assert shown(world, limited, of_all).status == 404


def test_whoever_was_limited_since_gets_no_link_to_an_export_of_everything(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    export_id = ready(world, caller)
    answer = shown(world, replace(caller, limited=True), export_id).json
    assert (answer["state"], "download_url" in answer) == ("ready", False)


def test_after_thirty_days_it_is_gone(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    export_id = ready(world, caller)
    world.advance(days=30, seconds=-1)
    assert shown(world, caller, export_id).status == 200
    world.advance(seconds=1)
    assert shown(world, caller, export_id).status == 404
