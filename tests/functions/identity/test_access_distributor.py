from portal import keys
from portal.journal import AuditEntry
from portal.table import query
from portal.tree import VENDOR
from tests.builders import a_distributor, bearer, confirm, sign_in
from tests.world import World, administrator


def test_an_operator_enters_a_distributors_portal_under_its_own_name(world: World) -> None:
    world.handler("operators.create_first_operator")(
        {"email": "olga@vendor.example.com", "name": "Olga"}, world.context
    )
    confirm(world, "olga@vendor.example.com")
    distributor = a_distributor(world)
    operator = bearer(world, sign_in(world, "olga@vendor.example.com")["access_token"])
    path = {"distributor_id": distributor.distributor}
    answer = world.call("identity.access_distributor", operator, path=path)
    assert answer.status == 200
    entered = bearer(world, answer.json["access_token"])
    assert (entered.home, entered.portal, entered.email) == (VENDOR, distributor, "olga@vendor.example.com")
    assert world.call("partners.list_partners", entered).status == 200
    assert world.call("operators.list_distributors", entered).status == 403
    for node in (VENDOR, distributor):
        entries = [e for e in query(AuditEntry, keys.node(node), "AUDIT") if e.activity == "account accessed"]
        assert [(entry.description, entry.performed_by) for entry in entries] == [
            ("Accessed account office@north.example.com", "olga@vendor.example.com")
        ]


def test_what_an_operator_does_inside_is_told_with_where_they_came_from(world: World) -> None:
    distributor = a_distributor(world)
    inside = administrator(distributor, "usr_operator", "olga@vendor.example.com", home=VENDOR)
    body = {"name": "Jacob", "email": "jacob@example.com", "country": "Israel"}
    assert world.call("partners.create_partner", inside, body=body).status == 201
    [entry] = query(AuditEntry, keys.node(distributor), "AUDIT")
    assert (entry.performed_by, entry.performed_from) == ("olga@vendor.example.com", "vendor")


def test_distributors_enter_nobody(world: World) -> None:
    distributor = a_distributor(world)
    path = {"distributor_id": distributor.distributor}
    assert world.call("identity.access_distributor", administrator(distributor), path=path).status == 403
