from typing import Any

import pytest

from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_email
from tests.world import Answer, World, administrator


@pytest.fixture
def distributor(world: World) -> Node:
    return a_distributor(world)


def change(world: World, partner: Node, **values: Any) -> Answer:
    path = {"partner_id": partner.partner}
    return world.call("partners.change_partner", administrator(partner.parent), path=path, body=values)


def get(world: World, distributor: Node, partner_id: str) -> Answer:
    return world.call("partners.get_partner", administrator(distributor), path={"partner_id": partner_id})


def test_only_what_is_given_changes(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor, contact_person="Joan", data_center="eu-central")
    before = get(world, distributor, partner.partner).json
    answer = change(world, partner, name="Anderson & Sons", contact_person=None)
    assert answer.status == 200
    assert answer.json == before | {"name": "Anderson & Sons", "contact_person": None}
    assert get(world, distributor, partner.partner).json == answer.json


def test_another_partner_id_takes_the_place_of_the_earlier(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor, partner_id="OLD")
    assert change(world, partner, partner_id="NEW").json["partner_id"] == "NEW"
    assert get(world, distributor, "OLD").status == 404
    assert get(world, distributor, "new").json["id"] == partner.partner
    a_partner(world, distributor, an_email(), partner_id="OLD")


def test_a_partner_id_may_change_its_capitals(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor, partner_id="DDEVR002")
    assert change(world, partner, partner_id="ddevr002").json["partner_id"] == "ddevr002"
    assert get(world, distributor, "DDEVR002").json["partner_id"] == "ddevr002"


def test_null_gives_the_generated_partner_id_back(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor, partner_id="DDEVR002")
    assert change(world, partner, partner_id=None).json["partner_id"] == partner.partner
    assert get(world, distributor, "DDEVR002").status == 404


def test_a_partner_id_of_another_partner_is_taken(world: World, distributor: Node) -> None:
    a_partner(world, distributor, an_email(), partner_id="TAKEN")
    partner = a_partner(world, distributor, an_email(), partner_id="MINE")
    answer = change(world, partner, name="Other", partner_id="Taken")
    assert (answer.status, answer.code) == (409, "partner_id_taken")
    assert get(world, distributor, "MINE").json["name"] == "Jacob Anderson"


def test_bad_input_is_refused(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    for values, field in (
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"country": ""}, "country"),
        ({"email": "other"}, "email"),
        ({"partner_code": "X"}, "partner_code"),
        ({"account_count": 0}, "account_count"),
        ({"partner_id": "direct"}, "partner_id"),
    ):
        answer = change(world, partner, **values)
        assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (400, [field])


def test_a_change_is_audited_and_no_change_is_not(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    change(world, partner)
    change(world, partner, name="Jacob Anderson")
    change(world, partner, name="Anderson", data_center="eu")
    change(world, partner, data_center=None)
    entries = [
        entry
        for entry in query(AuditEntry, keys.node(distributor), "AUDIT")
        if "Changed" in entry.description
    ]
    assert sorted((entry.activity, entry.description) for entry in entries) == [
        ("changed account name", "Changed partner Jacob Anderson: name to Anderson, data center to eu"),
        ("settings changed", "Changed partner Anderson: data center to nothing"),
    ]


def test_a_foreign_partner_is_not_there(world: World, distributor: Node) -> None:
    partner = a_partner(world, a_distributor(world, "office@south.example.com"))
    answer = world.call(
        "partners.change_partner",
        administrator(distributor),
        path={"partner_id": partner.partner},
        body={"name": "Mine"},
    )
    assert answer.status == 404
