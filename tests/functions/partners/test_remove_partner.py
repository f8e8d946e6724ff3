import pytest

from portal.partners import rules
from portal.tree import Node
from tests.builders import PASSWORD, a_distributor, a_partner, an_account, confirm
from tests.world import Answer, World, administrator


@pytest.fixture
def distributor(world: World) -> Node:
    return a_distributor(world)


def remove(world: World, distributor: Node, partner_id: str) -> Answer:
    return world.call("partners.remove_partner", administrator(distributor), path={"partner_id": partner_id})


def test_a_partner_without_accounts_is_gone_and_its_address_and_id_are_free(
    world: World, distributor: Node
) -> None:
    partner = a_partner(world, distributor, partner_id="DDEVR002")
    confirm(world, "jacob@anderson.example.com")
    answer = remove(world, distributor, partner.partner)
    assert (answer.status, answer.text) == (204, "")
    assert world.call("partners.list_partners", administrator(distributor)).json["total"] == 1
    assert remove(world, distributor, partner.partner).status == 404
    credentials = {"email": "jacob@anderson.example.com", "password": PASSWORD}
    assert world.call("identity.sign_in", body=credentials).status == 401
    again = a_partner(world, distributor, "jacob@anderson.example.com", partner_id="DDEVR002")
    assert again != partner


def test_a_partner_with_accounts_stays(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    account = an_account(world, partner)
    answer = remove(world, distributor, partner.partner)
    assert (answer.status, answer.code) == (409, "partner_has_accounts")
    removal = world.call(
        "accounts.remove_account",
        administrator(partner),
        path={"account_id": account.account},
        body={"approve_data_removal": True},
    )
    assert removal.status < 300
    # What was removed counts until the engine has purged it.
    assert remove(world, distributor, partner.partner).code == "partner_has_accounts"


def test_an_account_created_meanwhile_keeps_the_partner(
    world: World, distributor: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = a_partner(world, distributor)
    decide = rules.remove
    meanwhile = iter([lambda: an_account(world, partner)])

    def decide_and_be_overtaken(record: object) -> None:
        decide(record)  # type: ignore[arg-type]
        next(meanwhile, lambda: None)()

    monkeypatch.setattr(rules, "remove", decide_and_be_overtaken)
    answer = remove(world, distributor, partner.partner)
    assert (answer.status, answer.code) == (409, "partner_has_accounts")
    path = {"partner_id": partner.partner}
    assert (
        world.call("partners.list_partner_accounts", administrator(distributor), path=path).json["total"] == 1
    )


def test_the_direct_accounts_and_foreign_partners_cannot_be_removed(world: World, distributor: Node) -> None:
    foreign = a_partner(world, a_distributor(world, "office@south.example.com"))
    for partner_id in ("direct", foreign.partner, "prt_unknown"):
        assert remove(world, distributor, partner_id).status == 404
