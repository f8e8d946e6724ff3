import csv
import io
import json
import zipfile
from dataclasses import replace
from datetime import datetime
from typing import Any

import boto3
import pytest

from local.stage import sqs_record
from portal.accounts.records import get_account
from portal.adapters import files
from portal.identity.records import find_user
from portal.reports import selection
from portal.reports.records import Report
from portal.reports.selection import Selection
from portal.scope import EVERYTHING, Caller, Scope
from portal.settings import settings
from portal.tree import Node
from tests.trees import (
    Tree,
    a_task,
    a_user,
    account_records,
    an_entity,
    partner_records,
    plant,
    store,
)
from tests.world import Answer, Context, World, administrator

WORKER = "reports.on_report_wanted"


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(world.now)


def requested(world: World, caller: Caller, **body: object) -> str:
    answer = world.call("reports.request_usage_report", caller, body=body)
    assert answer.status == 202, answer.text
    return str(answer.json["report_id"])


def got(world: World, caller: Caller, report_id: str) -> Answer:
    return world.call("reports.get_report", caller, path={"report_id": report_id})


def carried_out(world: World) -> int:
    """Let the worker do its turns, those it sends for itself included; returns how many it did."""
    turns = 0
    while True:
        world.stream("notifications.deliver_outbox")
        if not (taken := world.messages("Reports")):
            return turns
        for message in taken:
            world.deliver(WORKER, message)
            turns += 1


def rows_of(answer: Answer, caller: Caller) -> list[list[str]]:
    """What is in the zip that the answer links to, without the header."""
    node, report_id = caller.portal, answer.json["report_id"]
    data = files.read(f"reports/{node}/{report_id}/usage-report.zip")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        (name,) = archive.namelist()
        text = archive.read(name).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline="")))[1:]


def written(world: World, caller: Caller, **body: object) -> list[list[str]]:
    report_id = requested(world, caller, **body)
    carried_out(world)
    answer = got(world, caller, report_id)
    assert answer.json["state"] == "ready", answer.text
    return rows_of(answer, caller)


def stored_files() -> list[dict[str, Any]]:
    return list(boto3.client("s3").list_objects_v2(Bucket=settings.bucket_name)["Contents"])


def in_a_hurry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on an invocation has no more time than for a few rows."""
    monkeypatch.setattr("portal.streamed_files.writing._ROWS_AT_ONCE", 20)
    world.context = Context(milliseconds=1_000)


def filled(world: World, node: Node, count: int, task_id: str = "tsk_north") -> None:
    store(*(an_entity(node, task_id, f"ent_{number:05d}", world.now) for number in range(count)))


def test_it_has_a_line_per_entity_with_partner_account_and_usage(world: World, tree: Tree) -> None:
    box = {"service": "box", "entity_kind": "folder", "licensed": None}
    store(
        a_task(tree.direct, "tsk_box", world.now, "box"),
        an_entity(tree.account, "tsk_north", "ent_1", world.now, last_backup_at=world.now, size_bytes=5),
        an_entity(tree.account, "tsk_north", "ent_2", world.now, licensed=False, status="archived"),
        an_entity(tree.direct, "tsk_box", "ent_3", world.now, **box),
    )
    of_direct = ["Direct Accounts", "North Direct", "acc-north-direct@example.com", "box"]
    of_partner = ["North Partner", "North Account", "acc-north@example.com", "microsoft_365_exchange"]
    assert written(world, tree.users[tree.distributor]) == [
        [*of_direct, "mailbox ent_3", "folder", "active", "", "1000", ""],
        [*of_partner, "mailbox ent_1", "mailbox", "active", "yes", "5", "2023-01-10 12:00:00"],
        [*of_partner, "mailbox ent_2", "mailbox", "archived", "no", "1000", ""],
    ]


def test_cut_into_many_turns_it_is_a_valid_zip_with_the_same_content(
    world: World, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        node = tree.partner.child(f"acc_{number}")
        store(*account_records(node, f"Account {number}", world.now), a_task(node, "tsk_1", world.now))
        filled(world, node, 30 * number, "tsk_1")
    whole = written(world, tree.users[tree.distributor])

    in_a_hurry(world, monkeypatch)
    report_id = requested(world, tree.users[tree.distributor])
    turns = carried_out(world)

    answer = got(world, tree.users[tree.distributor], report_id)
    assert (answer.json["state"], answer.json["rows"]) == ("ready", 90)
    assert turns >= 3
    assert rows_of(answer, tree.users[tree.distributor]) == whole
    assert len(whole) == 90


def test_a_report_of_many_parts_is_put_together_over_many_turns(
    world: World, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    # S3 itself refuses parts of less than 5 MiB; here it takes any, so that the test needs few rows.
    monkeypatch.setattr(files, "PART_BYTES", 300)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    filled(world, tree.account, 150)
    in_a_hurry(world, monkeypatch)
    rows = written(world, tree.users[tree.partner])
    assert [row[4] for row in rows] == [f"mailbox ent_{number:05d}" for number in range(150)]
    (zipped,) = (each for each in stored_files() if each["Key"].endswith(".zip"))
    parts = int(zipped["ETag"].strip('"').rpartition("-")[2])
    assert parts > 5


def test_nothing_but_the_zip_and_what_it_covers_stays_in_the_bucket(
    world: World, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(world, tree.account, 50)
    in_a_hurry(world, monkeypatch)
    written(world, tree.users[tree.account])
    assert sorted(each["Key"].rpartition("/")[2] for each in stored_files()) == [
        "selection.json",
        "usage-report.zip",
    ]


def test_a_turn_that_died_is_done_again_and_counts_once(
    world: World, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(world, tree.account, 50)
    requested(world, tree.users[tree.account])
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("Reports")
    in_a_hurry(world, monkeypatch)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("portal.streamed_files.writing.rules.end_turn", _dies)
        answer = world.handler(WORKER)(_event(message), world.context)
    assert len(answer["batchItemFailures"]) == 1

    world.deliver(WORKER, message)
    carried_out(world)
    assert len(rows_of(_only(world, tree.users[tree.account]), tree.users[tree.account])) == 50


def test_it_can_die_between_making_the_file_appear_and_saying_so(world: World, tree: Tree) -> None:
    filled(world, tree.account, 3)
    requested(world, tree.users[tree.account])
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("Reports")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("portal.streamed_files.writing.rules.finish", _dies)
        world.handler(WORKER)(_event(message), world.context)
    assert _only(world, tree.users[tree.account]).json["state"] == "running"

    world.deliver(WORKER, message)
    assert _only(world, tree.users[tree.account]).json["state"] == "ready"


def test_messages_that_come_twice_or_late_change_nothing_and_mail_nothing(world: World, tree: Tree) -> None:
    filled(world, tree.account, 3)
    requested(world, tree.users[tree.account])
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("Reports")
    for _ in range(3):
        world.deliver(WORKER, message)
    world.stream("notifications.deliver_outbox")
    assert len(world.messages("Mail")) == 1
    world.deliver(WORKER, {**message, "turn": 7})
    world.deliver(WORKER, {**message, "report_id": "rep_never"})
    world.stream("notifications.deliver_outbox")
    assert world.messages("Mail") == []


def test_whoever_is_overtaken_stops_and_writes_nothing_down(world: World, tree: Tree) -> None:
    filled(world, tree.account, 30)
    requested(world, tree.users[tree.account])
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("Reports")
    overtaking = _Overtaking(world, message)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("portal.reports.writing.selection.choose", overtaking)
        world.deliver(WORKER, message)
    world.stream("notifications.deliver_outbox")
    assert len(world.messages("Mail")) == 1
    assert len(rows_of(_only(world, tree.users[tree.account]), tree.users[tree.account])) == 30


def test_whoever_is_overtaken_in_the_middle_does_not_send_for_the_next_turn(
    world: World, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_hurry(world, monkeypatch)
    filled(world, tree.account, 50)
    requested(world, tree.users[tree.account])
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("Reports")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("portal.reports.writing.selection.choose", _Overtaking(world, message))
        world.deliver(WORKER, message)
    world.stream("notifications.deliver_outbox")
    assert [each["turn"] for each in world.messages("Reports")] == [1]


def test_what_fails_again_and_again_is_given_up_and_says_so(world: World, tree: Tree) -> None:
    requested(world, tree.users[tree.account])
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("Reports")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("portal.reports.writing.selection.choose", _dies)
        for _ in range(4):
            assert world.handler(WORKER)(_event(message), world.context)["batchItemFailures"]
        world.deliver(WORKER, message)
    answer = _only(world, tree.users[tree.account])
    assert answer.json["state"] == "failed"
    assert "Ask for it again" in answer.json["failure"]
    assert "download_url" not in answer.json


def test_it_is_mailed_to_the_requester_as_asked(world: World, tree: Tree) -> None:
    filled(world, tree.account, 2)
    caller = tree.users[tree.account]
    mails = {}
    for delivery in ("attachment", "link"):
        report_id = requested(world, caller, delivery=delivery)
        carried_out(world)
        (mails[delivery],) = world.messages("Mail")
        assert mails[delivery]["to"] == [caller.email]
        assert mails[delivery]["parameters"]["link"].endswith(f"/reports/{report_id}")
        assert mails[delivery]["parameters"]["rows"] == 2
    assert [each["name"] for each in mails["attachment"]["attach"]] == ["usage-report-2023-01-10.zip"]
    assert mails["link"]["attach"] == []


def test_it_shows_what_the_requester_may_see_while_it_is_written(world: World, tree: Tree) -> None:
    other = tree.distributor.child("prt_other")
    shop = other.child("acc_shop")
    store(*partner_records(other, "Other", world.now), *account_records(shop, "Shop", world.now))
    store(a_task(shop, "tsk_shop", world.now))
    filled(world, shop, 2, "tsk_shop")
    filled(world, tree.account, 2)
    base = administrator(tree.distributor, "usr_limited", "limited@example.com")
    limited = replace(base, limited=True)
    store(a_user(limited, world.now, accessible=[tree.partner.partner]))
    assert {row[0] for row in written(world, limited)} == {"North Partner"}
    assert {row[0] for row in written(world, tree.users[tree.distributor])} == {"North Partner", "Other"}


def test_no_report_for_who_was_disabled_or_lost_the_permission_meanwhile(world: World, tree: Tree) -> None:
    filled(world, tree.account, 1)
    caller = tree.users[tree.distributor]
    for values in (
        {"state": "disabled"},
        {"state": "active", "role": "custom", "permissions": ["dashboard.view"]},
    ):
        report_id = requested(world, caller)
        user = find_user(tree.distributor, caller.user_id)
        assert user is not None
        for name, value in values.items():
            setattr(user, name, value)
        user.save()
        carried_out(world)
        assert got(world, caller, report_id).json["state"] == "failed"
        assert world.messages("Mail") == []


def test_an_account_chosen_by_id_that_is_gone_since_is_left_out(world: World, tree: Tree) -> None:
    filled(world, tree.account, 1)
    caller = tree.users[tree.distributor]
    report_id = requested(world, caller, account_ids=[tree.account.account, tree.direct.account])
    gone = get_account(EVERYTHING, tree.account.account)
    gone.state = "removed"
    gone.index()
    gone.save()
    carried_out(world)
    assert rows_of(got(world, caller, report_id), caller) == []


def test_filters_choose_as_in_the_lists(world: World, tree: Tree) -> None:
    filled(world, tree.account, 1)
    filled(world, tree.direct, 1, "tsk_direct")
    store(a_task(tree.direct, "tsk_direct", world.now))
    caller = tree.users[tree.distributor]
    assert {row[1] for row in written(world, caller, filters={"search": "dir"})} == {"North Direct"}
    assert written(world, caller, filters={"account_status": ["trial_expired"]}) == []
    assert {row[1] for row in written(world, caller, filters={"billing_status": ["none"]})} == {
        "North Direct"
    }
    assert {row[1] for row in written(world, caller, filters={"billing_status": ["due"]})} == {
        "North Account"
    }


def test_cells_that_a_spreadsheet_would_run_are_escaped(world: World, tree: Tree) -> None:
    store(an_entity(tree.account, "tsk_north", "ent_1", world.now, name='=HYPERLINK("https://evil.example")'))
    assert written(world, tree.users[tree.account])[0][4].startswith("'=")


def test_a_report_without_entities_has_its_header_alone(world: World, tree: Tree) -> None:
    assert written(world, tree.users[tree.distributor]) == []


def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("the machine stopped")


class _Overtaking:
    """Lets a copy of the message be worked on whole while the first worker is in the middle."""

    def __init__(self, world: World, message: dict[str, object]) -> None:
        self.world, self.message, self.begun = world, message, False
        self.choose = selection.choose

    def __call__(self, report: Report, scope: Scope, now: datetime) -> Selection:
        if not self.begun:
            self.begun = True
            self.world.deliver(WORKER, self.message)
        return self.choose(report, scope, now)


def _event(message: dict[str, object]) -> dict[str, object]:
    return {"Records": [sqs_record(json.dumps(message))]}


def _only(world: World, caller: Caller) -> Answer:
    (report,) = world.call("reports.list_reports", caller).json["items"]
    return got(world, caller, report["report_id"])
