from typing import Any

import pytest

from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import VENDOR, Node
from tests.builders import a_distributor
from tests.world import OPERATOR, Answer, World


@pytest.fixture
def distributor(world: World) -> Node:
    return a_distributor(world, tax_rate="0.17", tax_name="VAT", address=["1, rue du Nord"])


def change(world: World, distributor: Node, **values: Any) -> Answer:
    path = {"distributor_id": distributor.distributor}
    return world.call("operators.change_distributor", OPERATOR, path=path, body=values)


def test_only_what_is_given_changes(world: World, distributor: Node) -> None:
    path = {"distributor_id": distributor.distributor}
    before = world.call("operators.get_distributor", OPERATOR, path=path).json
    answer = change(world, distributor, tax_rate="0.19", address=None)
    after = before | {"tax_rate": "0.19", "address": None}
    assert world.call("operators.get_distributor", OPERATOR, path=path).json == after
    assert answer.json == {name: value for name, value in after.items() if name != "credit_balance"}


def test_both_sides_see_in_their_audit_trails_what_changed(world: World, distributor: Node) -> None:
    change(world, distributor)
    change(world, distributor, name="North Distribution")
    change(world, distributor, tax_id="LU12345678", reverse_charge=True, address=["2, rue", "L-1"])
    said = (
        "Changed distributor North Distribution: "
        "tax id to LU12345678, reverse charge to yes, address to 2, rue, L-1"
    )
    for node in (VENDOR, distributor):
        entries = [
            each for each in query(AuditEntry, keys.node(node), "AUDIT") if "Changed" in each.description
        ]
        assert [(each.activity, each.description) for each in entries] == [("settings changed", said)]


def test_bad_changes_are_refused(world: World, distributor: Node) -> None:
    for values, field in (
        ({"name": None}, "name"),
        ({"tax_rate": "2"}, "tax_rate"),
        ({"tax_rate": None}, "tax_rate"),
        ({"reverse_charge": True}, "tax_id"),
        ({"currency": "EUR"}, "currency"),
        ({"payment_day": 2}, "payment_day"),
        ({"email": "other@example.com"}, "email"),
    ):
        answer = change(world, distributor, **values)
        assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (400, [field])


def test_reverse_charge_keeps_its_tax_id(world: World, distributor: Node) -> None:
    assert change(world, distributor, tax_id="LU12345678", reverse_charge=True).status == 200
    assert change(world, distributor, tax_id=None).status == 400
    assert change(world, distributor, tax_id=None, reverse_charge=False).status == 200


def test_an_unknown_distributor_is_not_there(world: World) -> None:
    assert change(world, Node("dst_unknown"), name="X").status == 404
