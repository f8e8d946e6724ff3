import pytest

from portal import keys
from portal.journal import AuditEntry
from portal.scope import Caller
from portal.table import query
from tests.builders import a_distributor, a_partner, confirm, deliver_mail
from tests.support.harness import Harness
from tests.world import World, administrator


def add(world: World, admin: Caller, addresses: str) -> str:
    answer = world.call("identity.add_ip_entry", admin, body={"addresses": addresses})
    assert answer.status == 201, answer.text
    entry_id: str = answer.json["entry_id"]
    return entry_id


def test_an_entry_goes_and_the_administrators_hear_of_it(world: World) -> None:
    distributor = a_distributor(world)
    confirm(world, "office@north.example.com")
    admin = administrator(distributor)
    own, other = add(world, admin, "198.51.100.7"), add(world, admin, "203.0.113.1")
    deliver_mail(world)
    assert world.call("identity.delete_ip_entry", admin, path={"entry_id": other}).status == 204
    listed = world.call("identity.list_ip_restrictions", admin).json
    assert (listed["enabled"], [each["entry_id"] for each in listed["items"]]) == (True, [own])
    [mail] = deliver_mail(world)
    assert mail.to == "office@north.example.com"
    assert "Deleted the IP entry 203.0.113.1." in mail.text
    last = list(query(AuditEntry, keys.node(distributor), "AUDIT"))
    assert "Deleted the IP entry 203.0.113.1" in [each.description for each in last]
    gone = world.call("identity.delete_ip_entry", admin, path={"entry_id": other})
    assert (gone.status, gone.code) == (404, "not_found")


def test_nobody_deletes_what_lets_them_in(world: World) -> None:
    admin = administrator(a_distributor(world))
    own, other = add(world, admin, "198.51.100.7"), add(world, admin, "203.0.113.1")
    path = {"entry_id": own}
    forged = {"X-Forwarded-For": "203.0.113.1"}
    for headers in ({}, forged):
        answer = world.call("identity.delete_ip_entry", admin, path=path, headers=headers)
        assert (answer.status, answer.code) == (409, "own_address_not_covered")
        assert "198.51.100.7" in answer.json["detail"]
    assert world.call("identity.delete_ip_entry", admin, path={"entry_id": other}).status == 204
    # The last one stays as long as the restriction is on.
    assert world.call("identity.delete_ip_entry", admin, path=path).code == "own_address_not_covered"
    off = world.call("identity.switch_ip_restrictions", admin, body={"enabled": False})
    assert off.json == {"enabled": False}
    assert world.call("identity.delete_ip_entry", admin, path=path).status == 204
    assert world.call("identity.list_ip_restrictions", admin).json["total"] == 0


def test_another_portals_entry_does_not_exist(world: World) -> None:
    distributor = a_distributor(world)
    partner = administrator(a_partner(world, distributor))
    own = add(world, administrator(distributor), "198.51.100.7")
    for entry_id in (own, "ipr_unknown"):
        answer = world.call("identity.delete_ip_entry", partner, path={"entry_id": entry_id})
        assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.races
def test_two_who_delete_each_others_entries_at_once_do_not_both_succeed(
    world: World, harness: Harness
) -> None:
    admin = administrator(a_distributor(world))
    mine, theirs = add(world, admin, "198.51.100.7"), add(world, admin, "203.0.113.1")
    start = harness.snapshot()
    for seed in range(20):
        outcomes = harness.run_together(
            [
                lambda address=address, entry_id=entry_id: world.call(
                    "identity.delete_ip_entry", admin, path={"entry_id": entry_id}, address=address
                )
                for address, entry_id in (("198.51.100.7", theirs), ("203.0.113.1", mine))
            ],
            seed=seed,
        )
        assert sorted(outcome.result.status for outcome in outcomes) == [204, 409]
        [refused] = [each.result for each in outcomes if each.result.status == 409]
        assert refused.code == "own_address_not_covered"
        left = world.call("identity.list_ip_restrictions", admin).json
        assert (left["enabled"], left["total"]) == (True, 1)
        harness.restore(start)
