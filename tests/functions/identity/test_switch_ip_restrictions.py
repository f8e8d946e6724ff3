from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import VENDOR
from tests.builders import a_distributor, confirm, deliver_mail
from tests.world import World, administrator


def test_the_restriction_is_turned_off_and_on_again_with_its_entries(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    admin = administrator(distributor)
    entry = world.call("identity.add_ip_entry", admin, body={"addresses": "198.51.100.7"}).json
    deliver_mail(world)
    world.advance(seconds=1)
    for enabled, said in ((False, "off"), (True, "on")):
        answer = world.call("identity.switch_ip_restrictions", admin, body={"enabled": enabled})
        assert (answer.status, answer.json) == (200, {"enabled": enabled})
        listed = world.call("identity.list_ip_restrictions", admin).json
        assert (listed["enabled"], listed["items"]) == (enabled, [entry])
        [mail] = deliver_mail(world)
        assert f"Turned the IP restriction {said}." in mail.text
        assert f"The restriction is {said}:" in mail.text
        # Saying so again changes nothing, and nobody is told.
        assert world.call("identity.switch_ip_restrictions", admin, body={"enabled": enabled}).status == 200
        assert deliver_mail(world) == []
        world.advance(seconds=1)
    told = [
        each.description
        for each in query(AuditEntry, keys.node(distributor), "AUDIT")
        if each.activity == "security settings changed"
    ]
    assert told[1:] == ["Turned the IP restriction off", "Turned the IP restriction on"]


def test_it_is_not_turned_on_for_somebody_whom_no_entry_covers(world: World) -> None:
    admin = administrator(a_distributor(world))
    on = {"enabled": True}
    answer = world.call("identity.switch_ip_restrictions", admin, body=on)
    assert (answer.status, answer.code) == (409, "own_address_not_covered")
    world.call("identity.add_ip_entry", admin, body={"addresses": "198.51.100.7"})
    world.call("identity.switch_ip_restrictions", admin, body={"enabled": False})
    forged = {"X-Forwarded-For": "198.51.100.7"}
    answer = world.call(
        "identity.switch_ip_restrictions", admin, body=on, headers=forged, address="203.0.113.1"
    )
    assert (answer.status, answer.code) == (409, "own_address_not_covered")
    assert "203.0.113.1" in answer.json["detail"]
    mapped = world.call("identity.switch_ip_restrictions", admin, body=on, address="::ffff:198.51.100.7")
    assert mapped.json == {"enabled": True}


def test_support_turns_it_off_for_a_customer_who_is_locked_out(world: World) -> None:
    distributor = a_distributor(world)
    world.call("identity.add_ip_entry", administrator(distributor), body={"addresses": "198.51.100.7"})
    operator = administrator(distributor, "usr_operator", "olga@vendor.example.com", home=VENDOR)
    off = {"enabled": False}
    answer = world.call("identity.switch_ip_restrictions", operator, body=off, address="203.0.113.1")
    assert answer.json == {"enabled": False}


def test_only_true_and_false_are_understood(world: World) -> None:
    admin = administrator(a_distributor(world))
    for body in (
        {},
        {"enabled": "yes"},
        {"enabled": 1},
        {"enabled": None},
        {"enabled": False, "entries": []},
    ):
        answer = world.call("identity.switch_ip_restrictions", admin, body=body)
        assert (answer.status, answer.code) == (400, "invalid")
