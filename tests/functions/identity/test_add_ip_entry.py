from collections import Counter

import pytest

from portal import keys
from portal.identity.records import Security, User
from portal.journal import AuditEntry
from portal.scope import Caller
from portal.table import query
from portal.tree import VENDOR, Node
from tests.builders import a_distributor, confirm, deliver_mail
from tests.support.harness import Harness
from tests.world import Answer, World, administrator

OFFICE = {"addresses": "198.51.100.7", "description": "Office"}


def changes(portal: Node) -> list[tuple[str, str, str | None]]:
    """What the audit trail tells of a portal's security settings."""
    return [
        (entry.description, entry.performed_by, entry.performed_from)
        for entry in query(AuditEntry, keys.node(portal), "AUDIT")
        if entry.activity == "security settings changed"
    ]


def test_the_first_entry_turns_the_restriction_on(world: World) -> None:
    distributor = a_distributor(world)
    admin = administrator(distributor)
    answer = world.call("identity.add_ip_entry", admin, body=OFFICE)
    assert answer.status == 201
    assert answer.json["addresses"] == "198.51.100.7"
    assert answer.json["description"] == "Office"
    listed = world.call("identity.list_ip_restrictions", admin).json
    assert (listed["enabled"], listed["items"]) == (True, [answer.json])
    assert changes(distributor) == [("Added the IP entry 198.51.100.7 (Office)", admin.email, None)]


def test_it_has_to_cover_whoever_adds_it(world: World) -> None:
    distributor = a_distributor(world)
    admin = administrator(distributor)
    for body in ({"addresses": "203.0.113.1"}, {"from": "2001:db8::", "to": "2001:db8::ffff"}):
        answer = world.call("identity.add_ip_entry", admin, body=body)
        assert (answer.status, answer.code) == (409, "own_address_not_covered")
        assert "198.51.100.7" in answer.json["detail"]
    assert world.call("identity.list_ip_restrictions", admin).json["total"] == 0
    assert changes(distributor) == []
    assert world.call("identity.add_ip_entry", admin, body=OFFICE).status == 201
    assert world.call("identity.add_ip_entry", admin, body={"addresses": "203.0.113.1"}).status == 201


def test_a_forged_header_is_not_ones_own_address(world: World) -> None:
    admin = administrator(a_distributor(world))
    forged = dict.fromkeys(
        ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP"), "203.0.113.1"
    )
    body = {"addresses": "203.0.113.1"}
    answer = world.call("identity.add_ip_entry", admin, body=body, headers=forged)
    assert (answer.status, answer.code) == (409, "own_address_not_covered")
    assert "198.51.100.7" in answer.json["detail"]


def test_what_makes_no_entry_is_told_by_its_field(world: World) -> None:
    admin = administrator(a_distributor(world))
    for body, field in (
        ({}, "addresses"),
        ({"addresses": ""}, "addresses"),
        ({"addresses": "198.51.100.0/24"}, "addresses"),
        ({"addresses": ["198.51.100.7"]}, "addresses"),
        ({"addresses": None}, "addresses"),
        ({"addresses": "1" * 5_000}, "addresses"),
        ({"from": "198.51.100.7"}, "to"),
        ({"from": "198.51.100.7", "to": "198.51.100.1"}, "to"),
        ({"from_": "198.51.100.7", "to": "198.51.100.9"}, "from_"),
        ({**OFFICE, "description": "x" * 201}, "description"),
        ({**OFFICE, "description": "two\nlines"}, "description"),
        ({**OFFICE, "enabled": True}, "enabled"),
    ):
        answer = world.call("identity.add_ip_entry", admin, body=body)
        assert (answer.status, answer.code) == (400, "invalid"), body
        assert field in [each["field"] for each in answer.json["errors"]], answer.text
    assert world.call("identity.list_ip_restrictions", admin).json["total"] == 0


def test_a_hundred_entries_and_no_more(world: World) -> None:
    distributor = a_distributor(world)
    admin = administrator(distributor)
    world.call("identity.add_ip_entry", admin, body=OFFICE)
    [security] = query(Security, keys.node(distributor), keys.SECURITY)
    copies = [security.ip_entries[0] | {"entry_id": f"ipr_{number}"} for number in range(100)]
    security.update(actions=[Security.ip_entries.set(copies[:99])])
    assert world.call("identity.add_ip_entry", admin, body=OFFICE).status == 201
    answer = world.call("identity.add_ip_entry", admin, body=OFFICE)
    assert (answer.status, answer.code) == (409, "too_many_entries")


def test_all_active_administrators_are_told_by_mail_and_nobody_else(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    [first] = query(User, keys.node(distributor), keys.user())
    for user_id, email, role, state in (
        ("usr_2", "second@north.example.com", "administrator", "active"),
        ("usr_3", "off@north.example.com", "administrator", "disabled"),
        ("usr_4", "invited@north.example.com", "administrator", "invited"),
        ("usr_5", "custom@north.example.com", "custom", "active"),
    ):
        User(
            keys.node(distributor),
            keys.user(user_id),
            user_id=user_id,
            email=email,
            name="N",
            role=role,
            permissions=["security.manage"],
            state=state,
            created_at=world.now,
        ).save()
    operator = administrator(distributor, "usr_operator", "olga@vendor.example.com", home=VENDOR)
    body = {**OFFICE, "description": "<b>Office</b>"}
    assert world.call("identity.add_ip_entry", operator, body=body).status == 201
    mails = deliver_mail(world)
    assert Counter(mail.to for mail in mails) == Counter([first.email, "second@north.example.com"])
    for said in (
        "olga@vendor.example.com changed the IP restrictions",
        "2023-01-10 12:00 UTC",
        "from the address 198.51.100.7",
        "Added the IP entry 198.51.100.7 (<b>Office</b>)",
        "The restriction is on",
        "https://portal.example.com/security/ip-restrictions",
    ):
        assert said in mails[0].text
    assert "&lt;b&gt;Office&lt;/b&gt;" in mails[0].html
    assert [change[1:] for change in changes(distributor)] == [("olga@vendor.example.com", "vendor")]


def test_a_repeated_request_adds_one_entry(world: World) -> None:
    admin = administrator(a_distributor(world))
    once = {"Idempotency-Key": "once"}
    first, second = (world.call("identity.add_ip_entry", admin, body=OFFICE, headers=once) for _ in range(2))
    assert first.json == second.json
    assert world.call("identity.list_ip_restrictions", admin).json["total"] == 1


@pytest.mark.races
def test_first_entries_at_once_are_all_kept(world: World, harness: Harness) -> None:
    admin = administrator(a_distributor(world))
    start = harness.snapshot()
    for seed in range(5):
        added = harness.run_together(
            [lambda n=n: add_own(world, admin, f"198.51.100.{n}") for n in range(4)], seed=seed
        )
        kept = [outcome.result.json["entry_id"] for outcome in added if outcome.result.status == 201]
        assert {outcome.result.status for outcome in added} <= {201, 409}
        listed = world.call("identity.list_ip_restrictions", admin).json
        assert listed["enabled"] is True
        assert sorted(kept) == [each["entry_id"] for each in listed["items"]] != []
        harness.restore(start)


def add_own(world: World, admin: Caller, address: str) -> Answer:
    return world.call("identity.add_ip_entry", admin, body={"addresses": address}, address=address)
