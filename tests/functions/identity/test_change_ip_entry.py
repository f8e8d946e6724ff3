from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import Node
from tests.builders import a_distributor, a_partner, confirm, deliver_mail
from tests.world import World, administrator


def told(portal: Node) -> list[str]:
    return [
        each.description
        for each in query(AuditEntry, keys.node(portal), "AUDIT")
        if each.activity == "security settings changed"
    ]


def test_what_is_given_changes_and_the_rest_stays(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    admin = administrator(distributor)
    body = {"addresses": "198.51.100.7, 203.0.113.1", "description": "Office"}
    entry = world.call("identity.add_ip_entry", admin, body=body).json
    path = {"entry_id": entry["entry_id"]}
    deliver_mail(world)
    world.advance(seconds=1)
    renamed = world.call("identity.change_ip_entry", admin, path=path, body={"description": "Head office"})
    assert renamed.json == entry | {"description": "Head office"}
    spanned = world.call(
        "identity.change_ip_entry", admin, path=path, body={"from": "198.51.100.0", "to": "198.51.100.9"}
    )
    assert "addresses" not in spanned.json
    assert (spanned.json["from"], spanned.json["to"]) == ("198.51.100.0", "198.51.100.9")
    shorter = world.call("identity.change_ip_entry", admin, path=path, body={"to": "198.51.100.8"})
    assert (shorter.json["from"], shorter.json["to"]) == ("198.51.100.0", "198.51.100.8")
    assert world.call("identity.list_ip_restrictions", admin).json["items"] == [shorter.json]
    mails = deliver_mail(world)
    assert [mail.to for mail in mails] == ["office@north.example.com"] * 3
    assert (
        "Changed the IP entry 198.51.100.7, 203.0.113.1 (Office): now 198.51.100.7, 203.0.113.1 (Head office)"
    ) in told(distributor)
    # What says nothing new changes nothing, and nobody is told.
    for same in ({}, {"to": "198.51.100.8"}, {"description": "Head office"}):
        again = world.call("identity.change_ip_entry", admin, path=path, body=same)
        assert (again.status, again.json) == (200, shorter.json)
    assert deliver_mail(world) == []
    assert len(told(distributor)) == 4


def test_nobody_edits_themselves_out(world: World) -> None:
    admin = administrator(a_distributor(world))
    entry = world.call("identity.add_ip_entry", admin, body={"addresses": "198.51.100.7"}).json
    world.call("identity.add_ip_entry", admin, body={"addresses": "203.0.113.1"})
    path = {"entry_id": entry["entry_id"]}
    for body in ({"addresses": "203.0.113.9"}, {"from": "198.51.100.8", "to": "198.51.100.9"}):
        answer = world.call("identity.change_ip_entry", admin, path=path, body=body)
        assert (answer.status, answer.code) == (409, "own_address_not_covered")
        assert "198.51.100.7" in answer.json["detail"]
    # From an address that another entry covers it may go.
    moved = {"addresses": "203.0.113.9"}
    answer = world.call("identity.change_ip_entry", admin, path=path, body=moved, address="203.0.113.1")
    assert answer.status == 200


def test_a_change_that_makes_no_entry_is_told_by_its_field(world: World) -> None:
    admin = administrator(a_distributor(world))
    entry = world.call("identity.add_ip_entry", admin, body={"addresses": "198.51.100.7"}).json
    for body, field in (
        ({"from": "198.51.100.1"}, "to"),
        ({"addresses": ""}, "addresses"),
        ({"addresses": "198.51.100.7", "to": "198.51.100.9"}, "addresses"),
        ({"from": "198.51.100.7", "to": "::1"}, "to"),
        ({"description": None}, "description"),
        ({"entry_id": "ipr_1"}, "entry_id"),
    ):
        answer = world.call(
            "identity.change_ip_entry", admin, path={"entry_id": entry["entry_id"]}, body=body
        )
        assert (answer.status, answer.code) == (400, "invalid"), body
        assert [each["field"] for each in answer.json["errors"]] == [field]
    assert world.call("identity.list_ip_restrictions", admin).json["items"] == [entry]


def test_another_portals_entry_does_not_exist(world: World) -> None:
    distributor = a_distributor(world)
    body = {"addresses": "198.51.100.7"}
    entry = world.call("identity.add_ip_entry", administrator(distributor), body=body).json
    partner = administrator(a_partner(world, distributor))
    for entry_id in (entry["entry_id"], "ipr_unknown"):
        path = {"entry_id": entry_id}
        assert world.call("identity.change_ip_entry", partner, path=path, body=body).status == 404
