from portal.tree import Node
from tests.builders import a_distributor, a_partner, an_account, an_email
from tests.world import Answer, World, administrator


def listed(world: World, distributor: Node, partner_id: str, **query: str) -> Answer:
    return world.call(
        "partners.list_partner_accounts",
        administrator(distributor),
        path={"partner_id": partner_id},
        query=query or None,
    )


def test_it_lists_the_accounts_of_that_partner_only(world: World) -> None:
    distributor = a_distributor(world)
    partner, other = (a_partner(world, distributor, an_email()) for _ in range(2))
    for under, name in (
        (partner, "Bob Smith"),
        (partner, "Alex Douglas"),
        (other, "Eve"),
        (distributor, "Direct"),
    ):
        an_account(world, under, name=name)
    answer = listed(world, distributor, partner.partner)
    assert [row["name"] for row in answer.json["items"]] == ["Alex Douglas", "Bob Smith"]
    assert answer.json["total"] == 2
    assert answer.json["items"][0]["billing_status"] == "trial"
    assert [row["name"] for row in listed(world, distributor, "direct").json["items"]] == ["Direct"]


def test_it_filters_sorts_and_pages_like_every_list_of_accounts(world: World) -> None:
    distributor = a_distributor(world)
    partner = a_partner(world, distributor, partner_id="DDEVR002")
    for name in ("Zoë Brown", "Bob Smith", "Zoe Adams"):
        an_account(world, partner, name=name)
    page = listed(world, distributor, "DDEVR002", search="zoe", sort="-name", limit="1").json
    assert ([row["name"] for row in page["items"]], page["total"]) == (["Zoë Brown"], 2)
    cursor = page["next_cursor"]
    rest = listed(world, distributor, "DDEVR002", search="zoe", sort="-name", limit="1", cursor=cursor).json
    assert ([row["name"] for row in rest["items"]], rest["next_cursor"]) == (["Zoe Adams"], None)
    assert listed(world, distributor, "DDEVR002", cursor=cursor).code == "invalid_cursor"
    assert listed(world, distributor, "direct", search="zoe", sort="-name", cursor=cursor).status == 400


def test_a_foreign_partners_accounts_are_not_there(world: World) -> None:
    distributor = a_distributor(world)
    foreign = a_partner(world, a_distributor(world, "office@south.example.com"))
    assert listed(world, distributor, foreign.partner).status == 404
