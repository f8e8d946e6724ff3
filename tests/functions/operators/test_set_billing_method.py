from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import VENDOR, Node
from tests.builders import a_distributor
from tests.world import OPERATOR, Answer, World, administrator


def set_method(world: World, distributor: Node, method: object) -> Answer:
    path = {"distributor_id": distributor.distributor}
    return world.call("operators.set_billing_method", OPERATOR, path=path, body={"method": method})


def test_operators_may_change_what_the_distributor_chose(world: World) -> None:
    distributor = a_distributor(world)
    chosen = world.call(
        "billing.choose_billing_method", administrator(distributor), body={"method": "invoice"}
    )
    assert chosen.status < 300, chosen.text
    assert set_method(world, distributor, "credit_card").json["billing_method"] == "credit_card"
    shown = world.call("billing.get_billing_method", administrator(distributor))
    assert shown.json["method"] == "credit_card"


def test_it_is_audited_once_on_both_sides(world: World) -> None:
    distributor = a_distributor(world)
    set_method(world, distributor, "invoice")
    set_method(world, distributor, "invoice")
    for node in (VENDOR, distributor):
        entries = [e for e in query(AuditEntry, keys.node(node), "AUDIT") if "billing" in e.activity]
        assert [entry.description for entry in entries] == [
            "Set the billing method of North Distribution to invoice"
        ]


def test_bad_input_is_refused(world: World) -> None:
    distributor = a_distributor(world)
    for method in ("cash", None, 1):
        assert set_method(world, distributor, method).status == 400
    assert set_method(world, Node("dst_unknown"), "invoice").status == 404
    path = {"distributor_id": distributor.distributor}
    mine = world.call(
        "operators.set_billing_method", administrator(distributor), path=path, body={"method": "invoice"}
    )
    assert mine.status == 403
