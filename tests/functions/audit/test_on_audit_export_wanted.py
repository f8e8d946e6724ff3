import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from local.stage import sqs_record
from portal.access import AccessList
from portal.activities import Activity
from portal.adapters import files
from portal.identity.records import find_user
from portal.scope import Caller
from portal.settings import settings
from tests.histories import an_entry, plant_history
from tests.support import Harness
from tests.trees import Tree, a_user, partner_records, plant, store
from tests.world import OPERATOR, Context, World, administrator

WORKER = "audit.on_audit_export_wanted"


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(world.now)


def requested(world: World, caller: Caller, **filters: object) -> str:
    answer = world.call("audit.request_audit_export", caller, body=filters)
    assert answer.status == 202, answer.text
    return str(answer.json["export_id"])


def carried_out(world: World) -> int:
    """Let the worker do its turns, those it sends for itself included; returns how many it did."""
    turns = 0
    while True:
        world.stream("notifications.deliver_outbox")
        if not (taken := world.messages("AuditExports")):
            return turns
        for message in taken:
            world.deliver(WORKER, message)
            turns += 1


def state(world: World, caller: Caller, export_id: str) -> dict[str, Any]:
    return dict(world.call("audit.get_audit_export", caller, path={"export_id": export_id}).json)


def rows_of(caller: Caller, export_id: str) -> list[list[str]]:
    """What is in the file, without its header."""
    data = files.read(f"reports/{str(caller.portal) or 'vendor'}/{export_id}/audit.csv")
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0][:3] == ["Date (UTC)", "Activity", "Status"]
    return rows[1:]


def written(world: World, caller: Caller, **filters: object) -> list[list[str]]:
    export_id = requested(world, caller, **filters)
    carried_out(world)
    shown = state(world, caller, export_id)
    assert shown["state"] == "ready", shown
    rows = rows_of(caller, export_id)
    assert shown["rows"] == len(rows)
    return rows


def in_a_hurry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on an invocation has no more time than for a few entries."""
    monkeypatch.setattr("portal.streamed_files.writing._ROWS_AT_ONCE", 20)
    world.context = Context(milliseconds=1_000)


def test_it_tells_what_the_list_tells_newest_first(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    from_above = administrator(tree.partner, OPERATOR.user_id, OPERATOR.email, home=tree.distributor)
    shop = "shop@example.com"
    plant_history(
        [
            an_entry(
                tree.distributor, world.now - timedelta(hours=2), Activity.SIGN_IN, "In", completed=False
            ),
            an_entry(
                tree.partner,
                world.now - timedelta(hours=1),
                description='=HYPERLINK("https://evil.example")',
                by=replace(from_above, client_id="cid_1"),
                account=shop,
                about=tree.account,
            ),
        ]
    )
    assert written(world, caller) == [
        [
            "2023-01-10 11:00:00", "settings changed", "completed", "dst_north/prt_north", shop,
            OPERATOR.email, "dst_north", "cid_1", '\'=HYPERLINK("https://evil.example")',
        ],
        ["2023-01-10 10:00:00", "sign-in", "failed", "dst_north", "", caller.email, "", "", "In"],
    ]  # fmt: skip


def test_it_obeys_the_filters_and_ends_with_the_moment_of_asking(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    plant_history(
        an_entry(
            tree.distributor, world.now - timedelta(hours=number), description=str(number), account=email
        )
        for number, email in enumerate(["a@example.com", "b@example.com", "a@example.com", "a@example.com"])
    )
    world.advance(seconds=1)
    later = requested(world, caller, to="2023-02-01")
    world.advance(minutes=1)
    plant_history([an_entry(tree.distributor, world.now, description="too late")])
    carried_out(world)
    assert [row[-1] for row in rows_of(caller, later)] == ["0", "1", "2", "3"]
    got = written(world, caller, account="A@example.com", to="2023-01-10T11:30:00Z")
    assert [row[-1] for row in got] == ["2", "3"]
    assert written(world, caller, **{"from": "2023-01-10T12:30:00Z"}) == []


def test_everybody_gets_their_own_part_of_it(world: World, tree: Tree) -> None:
    for node in (tree.distributor, tree.partner, tree.account, tree.direct):
        plant_history([an_entry(node, world.now, description=f"in {node}")])
        plant_history([an_entry(node, world.now, Activity.BILLING_DETAILS_UPDATED, "12.34 USD", by=OPERATOR)])
    plant_history([an_entry(tree.distributor.parent, world.now, description="in the vendor's")])
    store(a_user(OPERATOR, world.now))
    world.advance(seconds=1)

    def told(caller: Caller) -> list[str]:
        return sorted(row[-1] for row in written(world, caller))

    money = ["12.34 USD", "12.34 USD"]
    assert told(tree.users[tree.distributor]) == [*money, "in dst_north", "in dst_north/prt_north"]
    assert told(tree.users[tree.partner]) == ["in dst_north/prt_north"]
    assert told(tree.users[tree.account]) == ["in dst_north/prt_north/acc_north"]
    entered = replace(tree.users[tree.distributor], portal=tree.direct)
    assert told(entered) == ["in dst_north/direct/acc_north_direct"]
    assert told(OPERATOR) == ["in the vendor's"]


def test_cut_into_many_turns_it_is_the_same_file(
    world: World, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    # S3 itself refuses parts of less than 5 MiB; here it takes any, so that the test needs few entries.
    monkeypatch.setattr(files, "PART_BYTES", 1_500)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    caller = tree.users[tree.distributor]
    plant_history(
        an_entry(
            tree.distributor if number % 3 else tree.partner,
            world.now - timedelta(seconds=number + 1),
            Activity.SIGN_IN if number % 2 else Activity.SETTINGS_CHANGED,
            str(number),
            completed=bool(number % 5),
        )
        for number in range(70)
    )
    in_a_hurry(world, monkeypatch)
    for filters, numbers in (
        ({}, range(70)),
        ({"activity": "sign-in"}, range(1, 70, 2)),
    ):
        export_id = requested(world, caller, to="2023-01-10T12:00:00Z", **filters)
        turns = carried_out(world)
        assert [row[-1] for row in rows_of(caller, export_id)] == [str(number) for number in numbers]
        assert turns >= len(numbers) / 20
    stored = boto3.client("s3").list_objects_v2(Bucket=settings.bucket_name)["Contents"]
    assert {each["Key"].rpartition("/")[2] for each in stored} == {"audit.csv", "seen.json"}


def test_memory_stays_flat_over_a_long_history(
    world: World, tree: Tree, monkeypatch: pytest.MonkeyPatch, harness: Harness
) -> None:
    monkeypatch.setattr(files, "PART_BYTES", 10_000)
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
    plant_history(an_entry(tree.partner, world.now - timedelta(seconds=n + 1)) for n in range(400))
    largest = 0
    write = files.Upload.write

    def watched(upload: files.Upload, data: bytes) -> None:
        nonlocal largest
        write(upload, data)
        largest = max(largest, len(upload.pending))

    monkeypatch.setattr(files.Upload, "write", watched)
    before = harness.counts.snapshot()
    assert len(written(world, tree.users[tree.partner])) == 400
    assert largest < 10_000
    assert harness.counts.since(before).calls["dynamodb.Query"] <= 5


def test_messages_that_come_twice_or_late_change_nothing_and_mail_nothing(world: World, tree: Tree) -> None:
    caller = tree.users[tree.account]
    export_id = requested(world, caller)
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("AuditExports")
    for _ in range(3):
        world.deliver(WORKER, message)
    world.stream("notifications.deliver_outbox")
    (mail,) = world.messages("Mail")
    assert (mail["to"], mail["template"], mail["parameters"]["rows"]) == ([caller.email], "audit_export", 0)
    assert mail["parameters"]["link"] == f"https://portal.example.com/audit/exports/{export_id}"
    assert mail["attach"] == [
        {
            "key": f"reports/{tree.account}/{export_id}/audit.csv",
            "name": "audit-2023-01-10.csv",
            "link": f"/audit/exports/{export_id}",
        }
    ]
    for stray in ({"turn": 7}, {"export_id": "aex_never"}, {"path": "dst_north"}):
        world.deliver(WORKER, {**message, **stray})
    world.stream("notifications.deliver_outbox")
    assert world.messages("Mail") == []


def test_the_mail_goes_out_with_the_file(world: World, tree: Tree) -> None:
    caller = tree.users[tree.partner]
    requested(world, caller)
    carried_out(world)
    world.work("notifications.on_mail_wanted", "Mail")
    (text,) = world.mail_to(caller.email)
    assert "The export of the audit trail that you asked for on 2023-01-10 is ready." in text


def test_no_export_for_who_was_disabled_or_lost_the_permission_meanwhile(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    for values in (
        {"state": "disabled"},
        {"state": "active", "role": "custom", "permissions": ["dashboard.view"]},
    ):
        export_id = requested(world, caller)
        user = find_user(tree.distributor, caller.user_id)
        assert user is not None
        for name, value in values.items():
            setattr(user, name, value)
        user.save()
        carried_out(world)
        shown = state(world, caller, export_id)
        assert (shown["state"], "no longer" in shown["failure"]) == ("failed", True)
        assert world.messages("Mail") == []


def test_a_limited_user_gets_what_it_could_see_all_the_time_it_was_written(
    world: World, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = replace(administrator(tree.distributor, "usr_limited", "limited@example.com"), limited=True)
    other = tree.distributor.child("prt_other")
    both = [tree.partner.partner, "prt_other"]
    user = a_user(limited, world.now, accessible=both)
    store(*partner_records(other, "Other", world.now), user)
    plant_history(
        an_entry(tree.partner if number % 2 else other, world.now - timedelta(seconds=number + 1))
        for number in range(60)
    )
    assert {row[3] for row in written(world, limited)} == {"dst_north/prt_north", "dst_north/prt_other"}

    in_a_hurry(world, monkeypatch)
    export_id = requested(world, limited, to="2023-01-10T12:00:00Z")
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("AuditExports")
    world.deliver(WORKER, message)
    _replace_list(tree, [tree.partner.partner, "prt_new"])
    plant_history(
        [an_entry(tree.distributor.child("prt_new"), datetime(2023, 1, 1, tzinfo=world.now.tzinfo))]
    )
    carried_out(world)
    told = [row[3] for row in rows_of(limited, export_id)]
    assert (told.count("dst_north/prt_other"), told.count("dst_north/prt_north")) == (10, 30)
    assert "dst_north/prt_new" not in told
    assert "download_url" not in state(world, limited, export_id)


def _replace_list(tree: Tree, accessible: list[str]) -> None:
    for part in AccessList.query(f"D#{tree.distributor}|", AccessList.sk.startswith("ACCESS#usr_limited")):
        part.accessible_ids = accessible
        part.save()


def test_what_fails_again_and_again_is_given_up_and_says_so(world: World, tree: Tree) -> None:
    caller = tree.users[tree.account]
    export_id = requested(world, caller)
    world.stream("notifications.deliver_outbox")
    (message,) = world.messages("AuditExports")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("portal.audit.export.listing.examined", _dies)
        for _ in range(4):
            answer = world.invoke(WORKER, {"Records": [sqs_record(json.dumps(message))]})
            assert answer["batchItemFailures"]
        world.deliver(WORKER, message)
    shown = state(world, caller, export_id)
    assert (shown["state"], shown["failure"][:32]) == ("failed", "The export could not be written.")
    assert "download_url" not in shown


def _dies(*_: object, **__: object) -> None:
    raise RuntimeError("the machine stopped")
