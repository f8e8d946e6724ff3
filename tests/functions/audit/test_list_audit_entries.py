from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from portal.activities import Activity
from portal.journal import AuditEntry
from portal.scope import Caller
from portal.tree import VENDOR
from tests.histories import an_entry, plant_history
from tests.support import Harness
from tests.trees import Tree, a_user, partner_records, plant, store
from tests.world import OPERATOR, World, administrator

OPERATION = "audit.list_audit_entries"


@pytest.fixture
def tree(world: World) -> Tree:
    return plant(world.now)


def told(world: World, caller: Caller, **query: str) -> list[str]:
    """The descriptions on all pages, newest first."""
    return [text for page in pages(world, caller, **query) for text in page]


def pages(world: World, caller: Caller, **query: str) -> Iterator[list[str]]:
    cursor: dict[str, str] = {}
    while True:
        answer = world.call(OPERATION, caller, query={**query, **cursor})
        assert answer.status == 200, answer.text
        yield [entry["description"] for entry in answer.json["items"]]
        if answer.json["next_cursor"] is None:
            return
        cursor = {"cursor": answer.json["next_cursor"]}


def test_what_was_signed_in_to_and_accessed_reads_like_this(world: World, tree: Tree) -> None:
    world.now = datetime.fromisoformat("2023-11-27T18:16:00Z")
    alex = administrator(tree.distributor, "usr_alex", "alex.douglas@example.com")
    accessed = world.now - timedelta(days=4, minutes=12)
    rosy = "rosy.white@example.com"
    signed_in = "Native Sign in (OK) Chrome from ip 89.138.0.116."
    plant_history(
        [
            an_entry(tree.distributor, world.now, Activity.SIGN_IN, signed_in, by=alex),
            an_entry(
                tree.distributor,
                accessed,
                Activity.ACCOUNT_ACCESSED,
                f"Accessed account {rosy}",
                by=alex,
                account=rosy,
                about=tree.direct,
            ),
        ]
    )
    answer = world.call(OPERATION, alex)
    usual = {"status": "completed", "portal": "dst_north", "performed_by": alex.email}
    from_here = {"performed_from": None, "performed_with": None}
    assert [entry | {"entry_id": ""} for entry in answer.json["items"]] == [
        {
            "entry_id": "",
            "date": "2023-11-27T18:16:00Z",
            "activity": "sign-in",
            "account": None,
            "description": signed_in,
            **usual,
            **from_here,
        },
        {
            "entry_id": "",
            "date": "2023-11-23T18:04:00Z",
            "activity": "account accessed",
            "account": rosy,
            "description": "Accessed account rosy.white@example.com",
            **usual,
            **from_here,
        },
    ]
    assert (answer.json["total"], answer.json["next_cursor"]) == (2, None)


def test_it_says_who_came_from_above_and_which_api_key_was_used(world: World, tree: Tree) -> None:
    from_above = replace(tree.users[tree.distributor], portal=tree.partner, client_id="cid_1")
    operator = administrator(tree.distributor, OPERATOR.user_id, OPERATOR.email, home=VENDOR)
    for caller in (from_above, operator):
        assert world.call("reports.request_usage_report", caller, body={}).status == 202
    entries = world.call(OPERATION, tree.users[tree.distributor], query={"activity": "notification"}).json
    assert {
        (each["portal"], each["performed_by"], each["performed_from"], each["performed_with"])
        for each in entries["items"]
    } == {
        ("dst_north/prt_north", from_above.email, "dst_north", "cid_1"),
        ("dst_north", operator.email, "vendor", None),
    }


def test_everybody_sees_their_own_and_distributors_their_partners(world: World, tree: Tree) -> None:
    south = plant(world.now, "south")
    nodes = {
        "vendor": VENDOR,
        "distributor": tree.distributor,
        "partner": tree.partner,
        "account": tree.account,
        "direct": tree.direct,
        "south": south.distributor,
        "south partner": south.partner,
    }
    plant_history(
        an_entry(node, world.now + timedelta(seconds=number), description=name, by=OPERATOR)
        for number, (name, node) in enumerate(nodes.items())
    )
    seen = {
        OPERATOR: ["vendor"],
        tree.users[tree.distributor]: ["partner", "distributor"],
        tree.users[tree.partner]: ["partner"],
        tree.users[tree.account]: ["account"],
        replace(tree.users[tree.distributor], portal=tree.direct): ["direct"],
        south.users[south.distributor]: ["south partner", "south"],
    }
    filters: list[dict[str, str]] = [
        {},
        {"user": OPERATOR.email},
        {"activity": "settings changed"},
        {"activity": "settings changed", "status": "completed", "user": OPERATOR.email},
    ]
    for caller, expected in seen.items():
        for query in filters:
            assert told(world, caller, **query) == expected, (caller.portal, query)
            assert told(world, caller, **query, limit="1") == expected
        assert told(world, caller, status="failed") == []


def test_filters_combine(world: World, tree: Tree) -> None:
    top, at = tree.distributor, world.now
    ann, bob = (administrator(top, f"usr_{name}", f"{name}@north.example.com") for name in ("ann", "bob"))
    about = {"account": "Shop@Example.com", "about": tree.direct}
    plant_history(
        [
            an_entry(top, at, Activity.SIGN_IN, "1 ann in", by=ann),
            an_entry(top, at + timedelta(hours=1), Activity.SIGN_IN, "2 bob out", by=bob, completed=False),
            an_entry(top, at + timedelta(hours=2), Activity.ACCOUNT_ACCESSED, "3 ann shop", by=ann, **about),
            an_entry(top, at + timedelta(hours=3), Activity.SETTINGS_CHANGED, "4 bob shop", by=bob, **about),
            an_entry(top, at + timedelta(hours=4), Activity.SIGN_IN, "5 ann out", by=ann, completed=False),
            an_entry(
                tree.partner, at + timedelta(hours=5), Activity.SIGN_IN, "6 ann partner", by=ann, **about
            ),
        ]
    )
    cases: dict[str, list[dict[str, str]]] = {
        "654321": [{}, {"from": "2023-01-10"}, {"to": "2023-01-11"}],
        "52": [{"status": "failed"}, {"status": "failed", "activity": "sign-in"}],
        "6431": [{"status": "completed"}],
        "6521": [{"activity": "sign-in"}],
        "61": [{"activity": "sign-in", "status": "completed"}],
        "6531": [{"user": "ann@north.example.com"}, {"user": " ANN@north.example.com"}],
        "5": [{"user": "ann@north.example.com", "status": "failed"}],
        "643": [{"account": "shop@example.com"}],
        "63": [{"account": "shop@example.com", "user": "ann@north.example.com"}],
        "3": [
            {"account": "shop@example.com", "user": "ann@north.example.com", "activity": "account accessed"}
        ],
        "43": [{"account": "shop@example.com", "from": "2023-01-10T12:00:00Z", "to": "2023-01-10T17:00:00Z"}],
        "21": [
            {"activity": "sign-in", "to": "2023-01-10T13:00:00.001Z"},
            {"to": "2023-01-10T15:00:00+01:00"},
        ],
        "": [{"user": "nobody@example.com"}, {"account": "nobody@example.com"}, {"from": "2023-01-11"}],
    }
    for expected, queries in cases.items():
        for query in queries:
            for limit in ("25", "1"):
                got = told(world, tree.users[top], **query, limit=limit)
                assert "".join(text[0] for text in got) == expected, query


def test_several_activities_mean_any_of_them(world: World, tree: Tree) -> None:
    plant_history(
        an_entry(tree.distributor, world.now + timedelta(minutes=number), activity, activity)
        for number, activity in enumerate(Activity)
    )
    handler = world.handler(OPERATION)
    caller = tree.users[tree.distributor]
    event = {
        "httpMethod": "GET",
        "multiValueQueryStringParameters": {"activity": ["sign-in", "tasks changed"]},
        "requestContext": {"authorizer": caller.to_context()},
    }
    with world.acting(OPERATION):
        body = handler(event, world.context)["body"]
    assert ("tasks changed" in body, "sign-in" in body, "account accessed" in body) == (True, True, False)


def test_times_are_half_open_to_the_millisecond(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    plant_history(
        an_entry(tree.distributor, datetime.fromisoformat(f"2023-01-10T12:00:00.{text}Z"), description=text)
        for text in ("000", "001", "002")
    )
    noon = "2023-01-10T12:00:00"
    assert told(world, caller, **{"from": f"{noon}.001Z", "to": f"{noon}.002Z"}) == ["001"]
    assert told(world, caller, **{"from": f"{noon}.0005Z", "to": f"{noon}.0015Z"}) == ["001"]
    assert told(world, caller, **{"from": f"{noon}Z", "to": f"{noon}.002Z"}) == ["001", "000"]
    assert told(world, caller, to=f"{noon}Z") == []


def test_a_limited_user_sees_nothing_about_what_is_not_on_the_list(world: World, tree: Tree) -> None:
    limited = replace(administrator(tree.distributor, "usr_limited", "limited@example.com"), limited=True)
    other = tree.distributor.child("prt_other")
    store(*partner_records(other, "Other", world.now), a_user(limited, world.now, accessible=["prt_other"]))
    top, now = tree.distributor, world.now
    plant_history(
        [
            an_entry(top, now, description="own"),
            an_entry(top, now, description="about the distributor", account="d@example.com", about=top),
            an_entry(top, now, description="about other", account="o@example.com", about=other),
            an_entry(other, now, description="in other"),
            an_entry(other, now, description="other's", account="x@e.com", about=other.child("acc_x")),
            an_entry(top, now, description="hidden direct", account="direct@e.com", about=tree.direct),
            an_entry(top, now, description="hidden partner", account="p@e.com", about=tree.partner),
            an_entry(tree.partner, now, description="hidden in partner"),
            an_entry(top, now, description="hidden, about nobody knows whom", account="gone@e.com"),
        ]
    )
    shown = told(world, limited)
    assert sorted(shown) == ["about other", "about the distributor", "in other", "other's", "own"]
    for query in ({"account": "direct@e.com"}, {"account": "p@e.com"}, {"account": "gone@e.com"}):
        assert told(world, limited, **query) == []
        assert len(told(world, tree.users[top], **query)) == 1
    by_user = told(world, limited, user=tree.users[top].email)
    assert "own" in by_user
    assert not [text for text in by_user if "hidden" in text]


def test_below_a_distributor_nobody_reads_about_money(world: World, tree: Tree) -> None:
    for node in (tree.distributor, tree.partner, tree.account):
        plant_history([an_entry(node, world.now, Activity.BILLING_DETAILS_UPDATED, "12.34 USD arrived")])
    assert len(told(world, tree.users[tree.distributor])) == 2
    for node in (tree.partner, tree.account):
        assert told(world, tree.users[node]) == []
        assert told(world, replace(tree.users[tree.distributor], portal=node)) == []


def test_a_cursor_belongs_to_its_user_portal_and_query(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    plant_history(an_entry(tree.distributor, world.now + timedelta(seconds=n)) for n in range(3))
    first = world.call(OPERATION, caller, query={"limit": "1"}).json
    assert first["total"] is None
    cursor = {"limit": "1", "cursor": first["next_cursor"]}
    assert world.call(OPERATION, caller, query=cursor).json["total"] is None
    others: list[tuple[Caller, dict[str, str]]] = [
        (replace(caller, user_id="usr_other"), cursor),
        (replace(caller, portal=tree.partner), cursor),
        (caller, cursor | {"user": caller.email}),
        (caller, cursor | {"from": "2023-01-10"}),
        (caller, cursor | {"cursor": first["next_cursor"][:-2]}),
    ]
    for other, query in others:
        answer = world.call(OPERATION, other, query=query)
        assert (answer.status, answer.code) == (400, "invalid_cursor")


def test_what_is_written_while_somebody_turns_pages_shifts_nothing(world: World, tree: Tree) -> None:
    caller = tree.users[tree.distributor]
    plant_history(an_entry(tree.distributor, world.now, description=str(n)) for n in range(5))
    walk = pages(world, caller, limit="2")
    seen = next(walk)
    plant_history([an_entry(tree.distributor, world.now + timedelta(seconds=1), description="later")])
    seen += [text for page in walk for text in page]
    assert sorted(seen) == ["0", "1", "2", "3", "4"]


def test_one_request_looks_through_so_many_and_says_where_to_go_on(
    world: World, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.audit.rules.MOST_EXAMINED", 10)
    caller = tree.users[tree.partner]
    wanted = {0, 3, 17, 34}
    plant_history(
        an_entry(
            tree.partner,
            world.now - timedelta(minutes=number),
            Activity.SIGN_IN if number in wanted else Activity.SETTINGS_CHANGED,
            str(number),
        )
        for number in range(40)
    )
    found = list(pages(world, caller, activity="sign-in"))
    assert found == [["0", "3"], ["17"], [], ["34"]]


def test_a_selective_filter_reads_little_of_a_long_history(
    world: World, tree: Tree, harness: Harness
) -> None:
    caller, rare = (
        tree.users[tree.distributor],
        administrator(tree.distributor, "usr_rare", "rare@example.com"),
    )

    def history() -> Iterator[AuditEntry]:
        for number in range(3_000):
            at = world.now + timedelta(minutes=number)
            yield an_entry(tree.partner if number % 4 else tree.distributor, at, by=caller)
            if number % 600 == 0:
                yield an_entry(
                    tree.distributor, at, Activity.SIGN_IN, by=rare, account="rare@shop.example.com",
                    about=tree.direct, completed=False,
                )  # fmt: skip

    plant_history(history())
    cheap = [
        {"user": rare.email},
        {"account": "rare@shop.example.com"},
        {"activity": "sign-in"},
        {"activity": "sign-in", "status": "failed", "from": "2023-01-10"},
        {"user": rare.email, "activity": "sign-in", "status": "failed"},
    ]
    for query in cheap:
        before = harness.counts.snapshot()
        assert len(world.call(OPERATION, caller, query=query).json["items"]) == 5, query
        read = harness.counts.since(before)
        assert (read.total_read_units <= 1, read.calls["dynamodb.Query"] <= 2) == (True, True), (query, read)

    before = harness.counts.snapshot()
    assert len(world.call(OPERATION, caller, query={"status": "failed"}).json["items"]) == 5
    assert harness.counts.since(before).total_read_units <= len(Activity)

    # The first page of everything, and of a few hours long ago.
    for query in ({}, {"from": "2023-01-10T14:00:00Z", "to": "2023-01-10T16:00:00Z"}):
        before = harness.counts.snapshot()
        assert len(world.call(OPERATION, caller, query=query).json["items"]) == 25
        assert harness.counts.since(before).total_read_units <= 4


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"from": "2023-01-10T12:00:00"}, "from"),
        ({"from": "0001-01-01"}, "from"),
        ({"to": "0001-01-01T00:00:00+14:00"}, "to"),
        ({"to": "9999-12-31T23:59:59-14:00"}, "to"),
        ({"from": "2023-01-10", "to": "2023-01-10"}, "to"),
        ({"from": "2023-01-11", "to": "2023-01-10"}, "to"),
        ({"activity": "sign in"}, "activity.0"),
        ({"status": "ok"}, "status"),
        ({"user": ""}, "user"),
        ({"account": "a" * 255}, "account"),
        ({"since": "2023-01-10"}, "since"),
        ({"limit": "0"}, "limit"),
    ],
)
def test_what_is_malformed_is_refused_by_name(
    world: World, tree: Tree, query: dict[str, str], field: str
) -> None:
    answer = world.call(OPERATION, tree.users[tree.distributor], query=query)
    assert (answer.status, answer.code) == (400, "invalid")
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_the_longest_address_is_looked_for(world: World, tree: Tree) -> None:
    for letter in ("ΐ", "ﬃ", "𐐀", "|", "#"):
        for name in ("user", "account"):
            assert told(world, tree.users[tree.distributor], **{name: letter * 254}) == []
