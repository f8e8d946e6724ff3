import pytest

from partners import remove_partner
from portal import keys
from portal.change import Change
from portal.identity.actions import RELEASED_AT_ONCE, invite
from portal.identity.records import Security, User, find_email_owner, find_security, list_users
from portal.partners import rules
from portal.scope import EVERYTHING
from portal.table import Update, Write, stage, write
from portal.tree import Node
from tests.builders import PASSWORD, a_distributor, a_partner, an_account, an_email, confirm, sign_in
from tests.trees import store
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


def invited(world: World, partner: Node, number: int) -> list[str]:
    """The addresses of so many more users of a partner."""
    addresses = [an_email() for _ in range(number)]
    for address in addresses:
        write([stage(each) for each in invite(partner, address, "Somebody", world.now).writes])
    return addresses


def test_what_it_asked_of_its_users_goes_with_a_partner(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    policy = {"password_expires_after_days": 90, "expiry_look_at": world.now}
    store(Security(keys.node(partner), keys.SECURITY, **policy))
    path = {"partner_id": partner.partner}
    assert world.call("partners.remove_partner", administrator(distributor), path=path).status == 204
    assert find_security(partner) is None
    assert world.run("identity.run_password_expiry")["messages"] == 0


def test_any_number_of_users_goes_with_a_partner(world: World, distributor: Node) -> None:
    partner = a_partner(world, distributor)
    addresses = invited(world, partner, 50)
    assert remove(world, distributor, partner.partner).status == 204
    assert not list(list_users(EVERYTHING, partner))
    assert [find_email_owner(address) for address in addresses] == [None] * 50


def test_the_first_administrator_stays_when_an_account_is_added_meanwhile(
    world: World, distributor: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = a_partner(world, distributor)
    confirm(world, "jacob@anderson.example.com")
    invited(world, partner, 50)
    release = remove_partner.release_users
    begun = iter(("first", "second"))

    def release_and_be_overtaken(partner: Node, users: list[User], **also: str) -> list[Write]:
        if next(begun, "") == "second":
            an_account(world, partner)
        return release(partner, users, **also)

    monkeypatch.setattr(remove_partner, "release_users", release_and_be_overtaken)
    assert remove(world, distributor, partner.partner).code == "partner_has_accounts"
    assert len(list(list_users(EVERYTHING, partner))) == 51 - RELEASED_AT_ONCE
    assert sign_in(world, "jacob@anderson.example.com")


def test_an_address_that_belongs_to_another_portal_by_now_stays_taken(
    world: World, distributor: Node
) -> None:
    partner = a_partner(world, distributor)
    [address] = invited(world, partner, 1)
    owner = find_email_owner(address)
    assert owner is not None
    write([stage(Update(owner, Change(path=str(distributor))))])
    assert remove(world, distributor, partner.partner).status == 204
    assert find_email_owner(address) is not None


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
